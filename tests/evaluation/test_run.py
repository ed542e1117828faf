"""Evaluations of a tiny model: settings side by side, skipped tasks, files of answers, and faults."""

import json
from pathlib import Path

import pytest

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.loading import load_config
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.run import run_eval
from dllm_rl.evaluation.summary import Summary
from dllm_rl.records.storage import read_records

TWO = "settings=[{name: static, remasking_strategy: low_confidence_static, top_k: 1}, {name: dynamic, max_gen_length: 8}]"
REWARDS = {
    "raising": "    raise KeyError('b')\n",
    "hanging": "    import time\n    time.sleep(60)\n",
    "leaving": "    raise SystemExit(0)\n",
    "nan": "    return float('nan')\n",
}


def evaluate(checkpoint: Path, *arguments: str, folder: Path | None = None, display: Display | None = None,
             ) -> dict[str, Summary]:
    """Figures of an evaluation on a few sums."""
    base = [f"model.path={checkpoint}", "tasks={name: arithmetic, num_tasks: 6}", 'prompt.template="{problem} = "',
            "decoding.max_gen_length=4", "reward={name: math, answer: text, route: string}"]
    config, _ = load_config(EvalConfig, [*base, *arguments])
    return run_eval(config, folder or Path(), display or Display(quiet=True))


def without_time(summary: Summary) -> dict[str, float | None]:
    """Figures that are the same each time."""
    return {name: value for name, value in summary.as_dict().items() if name != "answer_tokens_per_second"}


def test_without_settings_there_is_one_summary(checkpoint: Path, tmp_path: Path) -> None:
    found = evaluate(checkpoint, "num_samples=2", f"out={tmp_path / 'a.parquet'}")
    assert list(found) == ["default"]
    summary = found["default"]
    assert (summary.num_tasks, summary.num_answers, summary.samples_per_task, summary.num_skipped) == (6, 12, 2.0, 0)
    assert summary.string_accuracy == summary.accuracy
    answers = read_records(tmp_path / "a.parquet")
    assert len(answers) == 12
    tokens = sum(len(answer.rollout.response_ids) for answer in answers)
    assert summary.length == tokens / 12 and summary.answer_tokens_per_second > 0
    assert json.loads(json.dumps(summary.as_dict())) == summary.as_dict()


def test_each_setting_is_what_it_is_alone(checkpoint: Path, tmp_path: Path) -> None:
    found = evaluate(checkpoint, TWO, f"out={tmp_path / 'a.parquet'}")
    assert list(found) == ["static", "dynamic"]
    alone = evaluate(checkpoint, "decoding={remasking_strategy: low_confidence_static, top_k: 1, max_gen_length: 4}")
    assert without_time(found["static"]) == without_time(alone["default"])
    assert found["static"].length <= 4 < found["dynamic"].length <= 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dynamic.parquet", "a.static.parquet"]
    kinds = {name: read_records(tmp_path / f"a.{name}.parquet")[0].rollout.decoding for name in found}
    assert (kinds["static"].remasking_strategy, kinds["static"].top_k) == ("low_confidence_static", 1)
    assert kinds["dynamic"].remasking_strategy == "low_confidence_dynamic"


def test_one_named_setting_keeps_the_name_of_the_file(checkpoint: Path, tmp_path: Path) -> None:
    assert list(evaluate(checkpoint, "settings=[{name: a, top_k: 1}]", f"out={tmp_path / 'a.parquet'}")) == ["a"]
    assert (tmp_path / "a.parquet").is_file()


def write_sums(folder: Path, sizes: list[int]) -> str:
    """A task file whose questions have these lengths."""
    rows = [{"question": "1" * size, "ground_truth_answer": "1"} for size in sizes]
    (folder / "sums.json").write_text(json.dumps(rows))
    return "tasks={name: math_json, path: sums.json}"


def test_skipped_tasks_are_told_of_and_count_as_wrong(checkpoint: Path, tmp_path: Path,
                                                      capsys: pytest.CaptureFixture) -> None:
    tasks = write_sums(tmp_path, [3, 2000, 4, 3000])
    right = "reward=./right.py:reward"
    (tmp_path / "right.py").write_text("def reward(task, rollout):\n    return {'correct': 1, 'reward': 1}\n")
    summary = evaluate(checkpoint, tasks, right, folder=tmp_path, display=Display())["default"]
    assert (summary.num_tasks, summary.num_skipped, summary.num_answers) == (4, 2, 2)
    assert (summary.accuracy, summary.reward) == (0.5, 1.0)
    said = " ".join(capsys.readouterr().err.split())
    assert "default: 2 of 4 tasks skipped, which count as wrong: prompt and longest response exceed" in said
    assert "first: math_json/sums/1" in said


def test_it_is_an_error_if_no_task_fits(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of 2 tasks fits into the model; the first, 'math_json/sums/0': a prompt of"):
        evaluate(checkpoint, write_sums(tmp_path, [2000, 3000]), folder=tmp_path)


@pytest.mark.parametrize(("name", "message"), [
    ("raising", r"failed on 'arithmetic/\S+' at .*own.py, line 2: KeyError: 'b'"),
    ("hanging", r"has not returned within 0.3 s on 'arithmetic/\S+' at .*own.py, line 3; mend it or allow more time"),
    ("leaving", r"failed on 'arithmetic/\S+' at .*own.py, line 2: SystemExit: 0"),
    ("nan", r"on task 'arithmetic/\S+' returned nan; rewards must be finite numbers"),
])
def test_faults_of_a_users_reward_are_named(name: str, message: str, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def reward(task, rollout):\n" + REWARDS[name])
    with pytest.raises(ValueError, match=f"reward ./own.py:reward {message}"):
        evaluate(checkpoint, "reward=./own.py:reward", "reward_time_limit=0.3", folder=tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("", "sums.json holds no records; give a JSON list"),
    ('{"question": "1"\n', "sums.json, line 1, column 17: not JSON"),
    ('{"question": "1"}\n', "field 'ground_truth_answer' is missing"),
    ("[]", "sums.json holds no records"),
])
def test_faults_of_a_task_file_are_named(text: str, message: str, checkpoint: Path, tmp_path: Path) -> None:
    tasks = write_sums(tmp_path, [])
    (tmp_path / "sums.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluate(checkpoint, tasks, folder=tmp_path)


def test_empty_answers_have_figures(checkpoint: Path) -> None:
    every = list(range(264))        # whatever is decoded first ends the response, and no answer is left
    summary = evaluate(checkpoint, f"decoding={{max_gen_length: 4, stop_token_list: {every}}}", "reward=exact")["default"]
    assert (summary.accuracy, summary.share_no_answer, summary.length, summary.share_truncated) == (0, 1, 1, 0)
    assert summary.string_accuracy is None
