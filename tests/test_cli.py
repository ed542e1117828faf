"""Commands: exit codes and sentences."""

import json
from pathlib import Path

import pytest

from dllm_rl.cli import main


def test_verify_prints_a_line_per_entry(reference_dir: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(reference_dir / "sdar"), "only=sdar/logits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"equal   sdar/logits/{name}" for name in ("full_L11", "block4_L29", "block8_L20", "leftpad_block4_L18")]


def test_verify_fails_on_what_it_does_not_know(reference_dir: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(reference_dir / "sdar"), "only=sdar/value", "--json"]) == 1
    assert not json.loads(capsys.readouterr().out.splitlines()[0])["passed"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["rl", "model.path=x"], "key 'tasks' is missing"),
    (["eval", "model.path=nowhere", "tasks=arithmetic"], "no checkpoint folder nowhere"),
    (["generate", "model.path=x"], "nothing to decode; give prompts"),
    (["sft", "model.path=x"], "give either tasks or data"),
    (["config", "rll"], "no configuration for 'rll'; did you mean 'rl'?"),
    (["verify", "nowhere"], "nowhere holds no goldens.json"),
    (["demo", "."], "holds a demonstration already"),
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


def test_config_lists_every_option(capsys: pytest.CaptureFixture) -> None:
    assert main(["config", "rl"]) == 0
    assert "optimizer.learning_rate" in capsys.readouterr().out
    assert main(["config", "eval", "model.path=x", "tasks=arithmetic"]) == 0
    assert "route: verify" in capsys.readouterr().out
