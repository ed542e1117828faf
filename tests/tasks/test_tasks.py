"""Task sets by name."""

import json
from pathlib import Path

import pytest

from dllm_rl.config.options import ArithmeticTaskOptions
from dllm_rl.registry import TASKS
from dllm_rl.tasks import load_tasks

RECORDS = [{"question": f"{n}+1?", "problem": f"{n}+1?", "answer": f"#### {n}", "ground_truth_answer": "1"}
           for n in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file that every reader of files can read."""
    (tmp_path / "data.json").write_text(json.dumps(RECORDS))
    return tmp_path


REQUIRED = {"path": "data.json", "dataset": "chain_sum"}


def skip_without_package(name: str) -> None:
    """Skip a task set whose package is not installed."""
    if name == "reasoning_gym":
        pytest.importorskip("reasoning_gym")


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_set_loads_and_is_stable(name: str, folder: Path) -> None:
    skip_without_package(name)
    fields = TASKS.options(name).model_fields
    options = {key: REQUIRED[key] for key, field in fields.items() if field.is_required()}
    tasks = load_tasks(name, options, folder)
    assert tasks and all(task.question and task.answer for task in tasks)
    assert len({task.id for task in tasks}) == len(tasks)
    assert load_tasks(name, TASKS.options(name)(**options), folder) == tasks


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_set_refuses_unknown_options(name: str, folder: Path) -> None:
    skip_without_package(name)
    with pytest.raises(ValueError, match=f"task set '{name}' has no option 'pth'"):
        load_tasks(name, {"pth": "data.json"}, folder)


@pytest.mark.parametrize("name", [name for name in TASKS if "path" in TASKS.options(name).model_fields])
def test_every_file_reader_names_a_missing_file(name: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="no file .*none.json"):
        load_tasks(name, {"path": "none.json"}, folder)


def test_unknown_name_and_value() -> None:
    with pytest.raises(ValueError, match="unknown task set 'gsm8'; did you mean 'gsm8k'"):
        load_tasks("gsm8", {})
    with pytest.raises(ValueError, match="task set 'arithmetic': num_tasks: .*greater than or equal to 1.*given: 0"):
        load_tasks("arithmetic", {"num_tasks": 0})


def test_options_model_is_taken_as_it_is() -> None:
    assert len(load_tasks("arithmetic", ArithmeticTaskOptions(num_tasks=3))) == 3


USER = """
from dllm_rl.records import Task
def good(options, folder):
    return [Task(id=str(n), question=(folder / "q.txt").read_text(), answer="1") for n in range(options["n"])]
def twice(options, folder):
    return [Task(id="same", question="?")] * 2
def wrong(options, folder):
    return [{"question": "?"}]
"""


@pytest.fixture
def user_folder(tmp_path: Path) -> Path:
    """A folder with a user's task sets."""
    (tmp_path / "own.py").write_text(USER)
    (tmp_path / "q.txt").write_text("1*1?")
    return tmp_path


def test_a_users_task_set(user_folder: Path) -> None:
    assert [task.question for task in load_tasks("./own.py:good", {"n": 2}, user_folder)] == ["1*1?", "1*1?"]


@pytest.mark.parametrize(("name", "message"), [
    ("twice", "2 tasks with the id 'same'; ids must differ"),
    ("wrong", "must return a list of dllm_rl.records.Task, it returned list"),
    ("good", "has no tasks"),
])
def test_a_users_faults_are_named(user_folder: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_tasks(f"./own.py:{name}", {"n": 0}, user_folder)
