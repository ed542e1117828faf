"""Runs that are interrupted, by whatever, and gone on with."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dllm_rl.cli import main
from dllm_rl.training import demo

ROOT = Path(__file__).parents[2]
SHORT = ['prompt.template="{problem} = "', "tasks.name=arithmetic", "tasks.num_tasks=50", "tasks.zero_pad=true",
         "optimizer.learning_rate=1e-3"]
COMMANDS = {
    "sft": [*SHORT, "batch_size=8", "max_steps=24"],
    "rl": [*SHORT, "evaluation.tasks={name: arithmetic, num_tasks: 6, split: test}", "evaluation.every=4", "reward=length",
           "evaluation.decoding.max_gen_length=6", "rollout.decoding.max_gen_length=6", "rollout.num_task_per_step=3",
           "rollout.num_response_per_task=3", "updates_per_step=2", "num_train_epochs=2", "max_steps=12"],
}


LONG = {"sft": "max_steps=200", "rl": "max_steps=60"}
"""Runs that ten kills do not outlive."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "start"
    demo.create_tiny_model(path, seed=1)
    return path


def arguments(command: str, start: Path, run: Path, *more: str) -> list[str]:
    return [command, *COMMANDS[command], f"model.path={start}", f"run_dir={run}", "checkpoint_every=3", *more, "--quiet"]


def figures(run: Path) -> list[dict[str, Any]]:
    """What a run logged, without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "second" not in name} for line in lines]


def assert_equal_runs(one: Path, two: Path) -> None:
    assert figures(one) == figures(two)
    files = ["checkpoint/model.safetensors", "samples.jsonl",
             *(str(file.relative_to(one)) for file in one.glob("state/*/*.safetensors"))]
    assert len(files) == 5
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("command", COMMANDS)
def test_ten_kills_leave_no_trace(command: str, seed: int, start: Path, tmp_path: Path) -> None:
    """kill -9 at ten moments, five of them while a checkpoint is being written."""
    steps = LONG[command]
    assert main(arguments(command, start, tmp_path / "whole", steps)) == 0
    killing = [sys.executable, "-m", "tests.helpers.killing", "10", str(seed), "0.8", str(tmp_path / "killed"),
               *arguments(command, start, tmp_path / "killed", steps)]
    done = subprocess.run(killing, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    killed, saving = map(int, done.stdout.split())
    assert killed == 10
    assert saving >= 3
    assert_equal_runs(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("more", [(), ("model.dtype=bfloat16", "export_dtype=float32")])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_in_two_parts_is_one_run(command: str, more: tuple[str, ...], start: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture) -> None:
    assert main(arguments(command, start, tmp_path / "whole", "max_steps=8", *more)) == 0
    assert main(arguments(command, start, tmp_path / "parts", "max_steps=5", *more)) == 0
    assert main(arguments(command, start, tmp_path / "parts", "max_steps=8", *more)) == 0
    if command == "sft":        # the first part's last step was also its last evaluation, which is in its figures
        assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "whole/checkpoint/model.safetensors").read_bytes() == \
        (tmp_path / "parts/checkpoint/model.safetensors").read_bytes()
    assert main(arguments(command, start, tmp_path / "parts", "max_steps=8", *more)) == 2
    assert "finished (step 8, max_steps 8); raise max_steps" in capsys.readouterr().err


def test_a_branch_equals_the_run_it_left(start: Path, tmp_path: Path) -> None:
    assert main(arguments("rl", start, tmp_path / "a", "keep_last=4")) == 0
    assert main(arguments("rl", start, tmp_path / "b", "keep_last=4", f"init_from={tmp_path / 'a'}@6")) == 0
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    assert main(arguments("rl", start, tmp_path / "c", f"init_from={tmp_path / 'a'}@6", "beta=0.5", "seed=4")) == 0
    assert figures(tmp_path / "a")[:7] == figures(tmp_path / "c")[:7]
    assert figures(tmp_path / "a")[7] != figures(tmp_path / "c")[7]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_checkpoint(number: int, start: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes from the user's own reward, in the middle of the third step."""
    (tmp_path / "reward.py").write_text(
        "import os\ncalls = []\n\n\ndef reward(tasks, rollouts):\n    calls.append(1)\n"
        f"    if len(calls) == 4 and os.environ.get('SIGNAL'):\n        os.kill(os.getpid(), {int(number)})\n"
        "    return [1 / len(rollout.response_ids) for rollout in rollouts]\n")
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    values = [f"config={tmp_path / 'run.yaml'}", "reward=./reward.py:reward"]
    monkeypatch.setenv("SIGNAL", "1")
    assert main(arguments("rl", start, tmp_path / "r", *values, "evaluation.every=50")) == 128 + number
    assert len(figures(tmp_path / "r")) == 4                 # steps 0 to 3, though a checkpoint was due only at 3
    assert [path.name for path in (tmp_path / "r/state").iterdir()] == ["step-000003"]
    monkeypatch.delenv("SIGNAL")
    assert main(arguments("rl", start, tmp_path / "r", *values, "evaluation.every=50")) == 0
    assert main(arguments("rl", start, tmp_path / "whole", *values, "evaluation.every=50")) == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "r")


def test_a_time_limit_stops_and_the_same_command_goes_on(start: Path, tmp_path: Path) -> None:
    assert main(arguments("sft", start, tmp_path / "r", "max_minutes=1e-9")) == 0
    assert not (tmp_path / "r/checkpoint").exists()
    assert main(arguments("sft", start, tmp_path / "r")) == 0
    assert len(figures(tmp_path / "r")) == 25


@pytest.fixture
def limit_files() -> Any:
    """A function that limits the size of files, which fails as a full disk does: inside a write."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(num_bytes: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if num_bytes is None else num_bytes, before[1]))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_costs_no_checkpoint(start: Path, tmp_path: Path, limit_files: Callable[[int | None], None],
                                         capsys: pytest.CaptureFixture) -> None:
    assert main(arguments("sft", start, tmp_path / "r", "max_steps=4")) == 0
    limit_files(1_000_000)
    assert main(arguments("sft", start, tmp_path / "r")) == 2
    limit_files(None)
    error = capsys.readouterr().err
    assert "step-000006 could not be written" in error and "is the disk full?" in error
    assert [path.name for path in (tmp_path / "r/state").iterdir()] == ["step-000004"]
    assert main(arguments("sft", start, tmp_path / "r")) == 0
    assert main(arguments("sft", start, tmp_path / "whole")) == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "r")


def test_a_loss_that_is_not_finite_keeps_the_last_good_weights(start: Path, tmp_path: Path,
                                                               capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "loss.py").write_text(
        "steps = []\n\n\ndef loss(batch, options):\n    steps.append(1)\n"
        "    return -batch.logps * (float('nan') if len(steps) > 40 else 1.0)\n")
    (tmp_path / "run.yaml").write_text("policy_loss: ./loss.py:loss\n")
    assert main(arguments("rl", start, tmp_path / "r", f"config={tmp_path / 'run.yaml'}", "beta=0")) == 2
    assert "the gradient norm is nan; the update was not made. Lower learning_rate" in capsys.readouterr().err
    last = figures(tmp_path / "r")[-1]["step"]
    assert [path.name for path in (tmp_path / "r/state").iterdir()] == [f"step-{last:06d}"]


def test_a_damaged_checkpoint_is_not_passed_over(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments("sft", start, tmp_path / "r", "max_steps=4", "keep_last=2")) == 0
    weights = tmp_path / "r/state/step-000004/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert main(arguments("sft", start, tmp_path / "r")) == 2
    assert "is damaged: weights.safetensors is not what was written" in capsys.readouterr().err


def test_a_step_that_fails_costs_no_step_before_it(start: Path, tmp_path: Path) -> None:
    """The reward raises in the sixth step; no checkpoint was due before."""
    (tmp_path / "reward.py").write_text(
        "import os\nimport random\ncalls = []\n\n\ndef reward(tasks, rollouts):\n    calls.append(1)\n"
        "    if len(calls) == 7 and os.environ.get('FAIL'):\n        raise KeyError('gold')\n"
        "    return [random.random() for _ in rollouts]\n")
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    values = [f"config={tmp_path / 'run.yaml'}", "reward=./reward.py:reward", "evaluation.every=50", "checkpoint_every=50"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIL", "1")
        assert main(arguments("rl", start, tmp_path / "r", *values)) == 2
    assert [path.name for path in (tmp_path / "r/state").iterdir()] == ["step-000005"]
    assert main(arguments("rl", start, tmp_path / "r", *values)) == 0
    assert main(arguments("rl", start, tmp_path / "whole", *values)) == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "r")


def test_float32_exports_of_a_bfloat16_run_are_its_masters(start: Path, tmp_path: Path) -> None:
    assert main(arguments("sft", start, tmp_path / "r", "max_steps=5", "model.dtype=bfloat16", "export_dtype=float32")) == 0
    exported = load_file(tmp_path / "r/checkpoint/model.safetensors")
    stored = load_file(tmp_path / "r/state/step-000005/weights.safetensors")
    assert exported.keys() == stored.keys()
    assert all(torch.equal(exported[name], stored[name]) for name in stored)
    assert any(not torch.equal(own, own.bfloat16().float()) for own in stored.values())


def test_output_in_json_is_nothing_else(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "reward.py").write_text("def reward(task, rollout):\n    print('noise')\n    return 1.0\n")
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    assert main([*arguments("rl", start, tmp_path / "r", f"config={tmp_path / 'run.yaml'}", "max_steps=1",
                            "reward=./reward.py:reward"), "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["updates"] == 0 and "noise" in error
