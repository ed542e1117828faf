"""Commands: exit codes and sentences."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dllm_rl.cli import CONFIGS, main
from dllm_rl.training.demo import create_tiny_model


def test_verify_prints_a_line_per_entry(reference_dir: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(reference_dir / "sdar"), "only=sdar/logits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"equal   sdar/logits/{name}" for name in ("full_L11", "block4_L29", "block8_L20", "leftpad_block4_L18")]


def test_verify_fails_on_what_it_does_not_know(reference_dir: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(reference_dir / "sdar"), "only=sdar/value", "--json"]) == 1
    assert not json.loads(capsys.readouterr().out.splitlines()[0])["passed"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["rl", "model.path=x"], "error: command line: tasks is missing; allowed: math_json | "),
    (["eval", "model.path=nowhere", "tasks=arithmetic"], "no checkpoint folder nowhere"),
    (["generate", "model.path=x"], "nothing to decode; give prompts"),
    (["sft", "model.path=x"], "give either tasks or data"),
    (["config", "rll"], "no configuration for 'rll'; did you mean 'rl'?"),
    (["verify", "nowhere"], "nowhere holds no goldens.json"),
    (["verify", ".", "onli=sdar"], "onli is no known key; did you mean 'only'?"),
    (["demo", "run_dir=."], "holds a finished demonstration"),
    (["explain", "demo"], "nothing to explain for 'demo'; one of generate, eval, sft, rl"),
    (["report", "nowhere"], "nowhere"),
    (["demo", "sed=1"], "sed is no known key; did you mean 'seed'?"),
    (["nope"], "No such command 'nope'"),
    (["rl", "--fast"], "No such option: --fast"),
    (["verify"], "Missing argument"),
])
def test_a_users_error_is_one_sentence_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLLM_RL_DEBUG", "1")
    with pytest.raises(ValueError, match="tasks is missing"):
        main(["rl", "model.path=x"])


@pytest.mark.parametrize(("error", "code", "message"), [
    (KeyboardInterrupt(), 130, "interrupted\n"),
    (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 2,
     "error: runs/x: No space left on device; free some space and run again\n"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "y.txt"), 2,
     "error: y.txt: No such file or directory\n"),
    (FloatingPointError("the gradient norm is nan"), 2, "error: the gradient norm is nan\n"),
])
def test_what_stops_a_command_is_one_sentence(error: BaseException, code: int, message: str,
                                              monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail(config: object, folder: object, display: object) -> None:
        raise error

    monkeypatch.setattr("dllm_rl.training.sft.run_sft", fail)
    assert main(["sft", "model.path=x", "tasks.name=arithmetic", "--quiet"]) == code
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("command", ["generate", "eval", "sft", "rl"])
def test_dry_run_explains_and_runs_nothing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    create_tiny_model(tmp_path / "m", seed=0)
    arguments = [f"model.path={tmp_path / 'm'}", "tasks.name=arithmetic", 'prompt.template="{problem} = "']
    arguments += ["evaluation.tasks.name=arithmetic"] if command == "rl" else []
    assert main([command, *arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert main(["explain", command, *arguments]) == 0
    assert capsys.readouterr().out == said
    resolved, _, explained = said.partition("\n\n")
    (tmp_path / "a.yaml").write_text(resolved + "\n")
    assert main(["config", command, f"config={tmp_path / 'a.yaml'}"]) == 0
    assert capsys.readouterr().out == resolved + "\n"
    assert re.search(r"parameters +855,424\n", explained) and re.search(r"peak +[\d.]+ MiB\n?", explained)
    assert main(["explain", command, *arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"]["parameters"], facts["config"]["tasks"]["name"]) == (855424, "arithmetic")
    assert not (tmp_path / "runs").exists()


def test_warnings_are_said_before_a_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    create_tiny_model(tmp_path / "m", seed=0)
    assert main(["rl", f"model.path={tmp_path / 'm'}", "tasks=arithmetic", "evaluation.tasks=arithmetic", "probe=1",
                 "rollout.decoding.max_gen_length=4", "rollout.decoding.temperature=0.5", "reward=length"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: rollout.decoding.temperature is 0.5, but training scores tokens at temperature 1" in said


@pytest.mark.parametrize("command", sorted(CONFIGS))
def test_help_ends_with_the_options(command: str, capsys: pytest.CaptureFixture) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: dllm-rl" in said
    assert main(["config", command]) == 0
    assert said.rstrip().endswith(capsys.readouterr().out.rstrip())


def test_a_closed_pipe_is_quiet() -> None:
    program = "import sys; from dllm_rl.cli import main; sys.exit(main())"
    done = subprocess.run(f"{sys.executable} -c '{program}' config rl | head -n 1", shell=True, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")})
    assert done.stdout == "schema_version: 1    [1]\n"
    assert done.stderr == ""


def test_config_lists_every_option(capsys: pytest.CaptureFixture) -> None:
    assert main(["config", "rl"]) == 0
    assert "optimizer.learning_rate" in capsys.readouterr().out
    assert main(["config", "eval", "model.path=x", "tasks=arithmetic"]) == 0
    assert "route: verify" in capsys.readouterr().out
