"""Data sets of reasoning-gym: stable tasks, their own scores, and none whose scorer runs what a model wrote."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("reasoning_gym")

from reasoning_gym.factory import DATASETS, create_dataset

from dllm_rl.records import Task
from dllm_rl.records.storage import read_records, write_records
from dllm_rl.tasks import load_tasks
from dllm_rl.tasks.reasoning_gym import EVALUATING, score_answer

WITHOUT_PACKAGE = """
import sys
sys.modules["reasoning_gym"] = None
from dllm_rl.tasks import load_tasks
try:
    load_tasks("reasoning_gym", {"dataset": "chain_sum"})
except ValueError as error:
    sys.exit(str(error))
"""
PROBES = ["MARK", "[MARK]", "(77777)", "x=77777", "[[77777]]", "77777*x", "77777+MARK()", "['77777']", "{\"a\": 77777}"]


def tasks_of(dataset: str, **options: object) -> list[Task]:
    """Tasks of a data set."""
    return load_tasks("reasoning_gym", {"dataset": dataset, "size": 5, **options})


def test_tasks_are_those_of_the_package() -> None:
    config = {"min_terms": 2, "max_terms": 3}
    tasks = tasks_of("chain_sum", seed=7, config=config)
    entries = list(create_dataset("chain_sum", size=5, seed=7, **config))
    assert [(task.question, task.answer) for task in tasks] == [(item["question"], item["answer"]) for item in entries]
    assert [task.id for task in tasks] == [f"reasoning_gym/chain_sum/7/{place}" for place in range(5)]
    assert tasks_of("chain_sum", seed=7, config=config, size=3)[2].question == tasks[2].question
    assert tasks_of("chain_sum", seed=8, config=config)[0].question != tasks[0].question


def test_scores_are_the_data_sets_own() -> None:
    [task, *_] = tasks_of("mini_sudoku")
    assert score_answer(task, task.answer) == 1.0
    assert 0 < score_answer(task, task.answer.replace("1", "2")) < 1      # some cells are right
    assert score_answer(task, "none") == 0.0


def test_an_answer_that_a_scorer_fails_at_has_no_score() -> None:
    [task, *_] = tasks_of("prime_factorization")
    assert score_answer(task, task.answer) == 1.0
    assert score_answer(task, "hello") is None


def test_tasks_survive_a_file_and_are_scored_then(tmp_path: Path) -> None:
    tasks = tasks_of("letter_counting")
    write_records(tmp_path / "t.parquet", tasks)
    assert [score_answer(task, task.answer) for task in read_records(tmp_path / "t.parquet")] == [1.0] * 5


@pytest.mark.parametrize(("options", "message"), [
    ({"dataset": "chain_sums"}, "reasoning-gym has no data set 'chain_sums'; did you mean 'chain_sum'"),
    ({"dataset": "countdown"}, "data set 'countdown' .* is refused: its scorer evaluates .* choose another"),
    ({"dataset": "chain_sum", "config": {"min_term": 2}}, "no setting 'min_term' in config; did you mean 'min_terms'"),
    ({"dataset": "chain_sum", "config": {"seed": 2}}, "no setting 'seed' in config; give it beside 'dataset'"),
    ({"dataset": "chain_sum", "config": {"min_terms": -1}}, "data set 'chain_sum' .* refuses its config"),
    ({}, "task set 'reasoning_gym': dataset: Field required"),
])
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_tasks("reasoning_gym", options)


def test_other_tasks_and_refused_sets_are_not_scored() -> None:
    with pytest.raises(ValueError, match="task 'a' has no 'dataset' in its meta, which the reward reasoning_gym needs"):
        score_answer(Task("a", "?"), "1")
    [task, *_] = tasks_of("chain_sum")
    with pytest.raises(ValueError, match="'n_queens' .* is refused"):
        score_answer(replace(task, meta={**task.meta, "dataset": "n_queens"}), "1")


def test_a_missing_package_is_named_with_its_extra() -> None:
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGE], env={"PYTHONPATH": source, "PATH": ""},
                          capture_output=True, text=True, timeout=120)
    assert "cannot import dllm_rl.tasks.reasoning_gym: it needs the package reasoning-gym" in done.stderr
    assert done.stderr.rstrip().endswith("pip install 'dllm-rl[tasks]'")


WATCH = """
import json, sys
from reasoning_gym.factory import DATASETS, create_dataset
compiled, watched = set(), []
def hook(event, arguments):
    if event == "compile" and watched and any(mark in str(arguments[0]) for mark in ("MARK", "77777")):
        compiled.add(watched[-1])
sys.addaudithook(hook)
for name in sorted(set(DATASETS) - {"composite"}):
    dataset = create_dataset(name, size=1, seed=1)
    entry = dataset[0]
    watched.append(name)
    for answer in [*json.loads(sys.argv[1]), f"{entry['answer']}+77777"]:
        try:
            dataset.score_answer(answer, entry)
        except Exception:
            pass
print()     # some scorers print
print(json.dumps(sorted(compiled)))
"""


@pytest.mark.slow
def test_the_refused_data_sets_are_those_that_compile_answers() -> None:
    assert set(DATASETS) > EVALUATING
    done = subprocess.run([sys.executable, "-c", WATCH, json.dumps(PROBES)], capture_output=True, text=True, timeout=300)
    assert {*json.loads(done.stdout.splitlines()[-1]), "composite"} == EVALUATING
