"""What goes wrong in a reinforcement run through its data, its reward or its answers: one sentence, nothing lost."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dllm_rl.cli import main
from dllm_rl.training.demo import create_tiny_model

SHORT = ['prompt.template="{problem} = "', "evaluation.decoding.max_gen_length=4", "rollout.decoding.max_gen_length=4",
         "rollout.num_task_per_step=2", "rollout.num_response_per_task=3", "max_steps=2", "checkpoint_every=1"]
SUMS = ["tasks=arithmetic", "evaluation.tasks={name: arithmetic, num_tasks: 2, split: test}"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "start"
    create_tiny_model(path, seed=1)
    return path


def run(start: Path, folder: Path, *more: str) -> int:
    return main(["rl", f"model.path={start}", f"run_dir={folder / 'run'}", *SHORT, *more, "--quiet", "--json"])


@pytest.mark.parametrize(("body", "message"), [
    ("raise KeyError('gold')", r"failed on 'arithmetic/.*reward.py, line 5: KeyError: 'gold'"),
    ("return float('nan')", "returned nan; rewards must be finite numbers"),
    ("return 'good'", "returned .*; return a number|returned what is no single number"),
    ("raise SystemExit(0)", "SystemExit"),
    ("time.sleep(60)", r"reward\.py.*line 5"),
])
def test_a_reward_that_fails_is_named_and_the_run_goes_on_when_it_is_mended(
        body: str, message: str, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """It fails in the second step; the first step's checkpoint is kept."""
    head = "import time\ncalls = []\ndef reward(task, rollout):\n    calls.append(1)\n"
    (tmp_path / "reward.py").write_text(head + f"    if len(calls) > 8: {body}\n    return len(calls) % 3 / 3\n")
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    values = [f"config={tmp_path / 'run.yaml'}", *SUMS, "reward_time_limit=1"]
    assert run(start, tmp_path, *values) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert re.search(message, error), error
    assert [path.name for path in (tmp_path / "run/state").iterdir()] == ["step-000001"]
    (tmp_path / "mended").mkdir()
    (tmp_path / "mended/reward.py").write_text("def reward(task, rollout):\n    return float(rollout.seed % 7)\n")
    (tmp_path / "mended/run.yaml").write_text("reward: ./reward.py:reward\n")
    assert run(start, tmp_path, f"config={tmp_path / 'mended/run.yaml'}", *SUMS, "reward_time_limit=1") == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]


def last(capsys: pytest.CaptureFixture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_answers_without_an_answer_skip_the_update(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Every token stops, so that answers have one token and no box in it."""
    stops = ",".join(map(str, range(256)))
    before = (start / "model.safetensors").read_bytes()
    assert run(start, tmp_path, *SUMS, f"rollout.decoding.stop_token_list=[{stops}]") == 0
    figures = last(capsys)
    assert (figures["length"], figures["share_no_answer"], figures["updates"]) == (1.0, 1.0, 0)
    assert figures["groups_all_wrong"] == figures["groups_equal_rewards"] == 2
    assert (tmp_path / "run/checkpoint/model.safetensors").read_bytes() == before


@pytest.mark.parametrize(("text", "message"), [
    ('{"question": "1+1", "answer": "#### 2"}\n{"question"\n', "line 2, column .*: not JSON"),
    ('{"question": "1+1"}\n', "line 1: field 'answer' is missing"),
    ("", "holds no records"),
])
def test_data_that_cannot_be_used_stops_before_anything_is_written(
        text: str, message: str, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "data.jsonl").write_text(text)
    tasks = f"{{name: gsm8k, path: {tmp_path / 'data.jsonl'}}}"
    assert run(start, tmp_path, f"tasks={tasks}", f"evaluation.tasks={tasks}") == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_prompts_that_are_too_long_are_counted_and_skipped(start: Path, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture) -> None:
    rows = [{"question": "1+1" * repeat, "ground_truth_answer": "2"} for repeat in (1, 2000, 3)]
    (tmp_path / "data.json").write_text(json.dumps(rows))
    tasks = f"{{name: math_json, path: {tmp_path / 'data.json'}}}"
    arguments = [f"tasks={tasks}", f"evaluation.tasks={tasks}", "reward=length"]
    assert main(["rl", f"model.path={start}", f"run_dir={tmp_path / 'run'}", *SHORT, *arguments, "--json"]) == 0
    out, said = capsys.readouterr()
    figures, said = json.loads(out.splitlines()[-1]), " ".join(said.split())
    assert "1 training tasks are skipped" in said and "1 held-out tasks are skipped" in said
    assert (figures["held_out_num_tasks"], figures["held_out_num_skipped"], figures["held_out_num_answers"]) == (3, 1, 2)


def test_a_probe_prints_figures_and_trains_nothing(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(start, tmp_path, *SUMS, "reward=length", "probe=5") == 0
    figures = last(capsys)
    assert figures["rollout_tokens"] <= 5 * 3 * 4
    assert figures["recorded_gap_max"] < 1e-4
    assert {"entropy", "reward", "accuracy", "tokens_per_forward", "tokens_trained_per_rollout_token"} <= set(figures)
    assert "updates" not in figures
    assert not (tmp_path / "run").exists()
