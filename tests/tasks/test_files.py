"""Task files as published."""

import json
from pathlib import Path

import pytest

from dllm_rl.config.options import FileTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.files import gsm8k, math, math_json

READERS = {"gsm8k": gsm8k, "math": math, "math_json": math_json}
GOOD = {
    "gsm8k": {"question": "1+1?", "answer": "1+1=<<1+1=2>>2\n#### 2,000"},
    "math": {"problem": "1+1?", "solution": "So \\boxed{1} or \\boxed{2,000}.", "level": "Level 3", "type": "Algebra"},
    "math_json": {"question": "1+1?", "ground_truth_answer": "2,000", "level": 3},
}


def load(name: str, folder: Path, *records: object, limit: int | None = None) -> list[Task]:
    """The tasks of a file with these records."""
    (folder / "own.v1.jsonl").write_text("\n".join(map(json.dumps, records)))
    return READERS[name](FileTaskOptions(path="own.v1.jsonl", limit=limit), folder)


@pytest.mark.parametrize(("name", "meta"), [
    ("gsm8k", {"solution": "1+1=<<1+1=2>>2"}),
    ("math", {"solution": GOOD["math"]["solution"], "level": 3, "subject": "Algebra"}),
    ("math_json", {"level": 3}),
])
def test_one_record_of_each_format(tmp_path: Path, name: str, meta: dict[str, object]) -> None:
    assert load(name, tmp_path, GOOD[name]) == [
        Task(id=f"{name}/own/0", question="1+1?", answer="2,000", kind="math", meta=meta)]


@pytest.mark.parametrize("name", READERS)
def test_ids_do_not_depend_on_folder_or_limit(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    every = load(name, tmp_path, *[GOOD[name]] * 4)
    assert load(name, tmp_path / "b", *[GOOD[name]] * 4, limit=2) == every[:2]
    assert len({task.id for task in every}) == 4


def test_math_prefers_the_answer_field(tmp_path: Path) -> None:
    [task] = load("math", tmp_path, GOOD["math"] | {"answer": "7", "level": 5, "subject": "Geometry"})
    assert (task.answer, task.meta["level"]) == ("7", 5)
    [task] = load("math", tmp_path, {"problem": "?", "answer": "7", "level": "Level ?"})
    assert task.meta == {"level": "Level ?"}


@pytest.mark.parametrize(("name", "change", "message"), [
    ("gsm8k", {"answer": "no marker"}, "line 2: field 'answer' has no text after '####'; end it with"),
    ("gsm8k", {"answer": "1 #### "}, "no text after '####'"),
    ("gsm8k", {"question": None}, "line 2: field 'question' must be text"),
    ("math", {"solution": "no box"}, r"line 2: field 'solution' has no \\boxed\{answer\}, and there is no field"),
    ("math", {"solution": "\\boxed{1"}, "field 'solution' has no"),
    ("math", {"solution": "\\boxed{ }"}, "field 'solution' has no"),
    ("math", {"answer": ""}, "line 2: field 'answer' is empty"),
    ("math_json", {"ground_truth_answer": ["2"]}, "line 2: field 'ground_truth_answer' must be text, not list"),
])
def test_a_bad_record_is_named(tmp_path: Path, name: str, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(name, tmp_path, GOOD[name], GOOD[name] | change)


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is missing .* choose the task set of this file's format"):
        load(name, tmp_path, {"prompt": "1+1?", "response": "2"})


@pytest.mark.parametrize(("name", "path", "number", "first"), [
    ("gsm8k", "gsm8k/test_first40.jsonl", 40, "18"),
    ("gsm8k", "gsm8k/train_first60.jsonl", 60, "72"),
    ("math", "math500/test_first40.jsonl", 40, "\\left( 3, \\frac{\\pi}{2} \\right)"),
    ("math", "math/train_first30.jsonl", 30, "2.33"),
])
def test_published_files(data_dir: Path, name: str, path: str, number: int, first: str) -> None:
    tasks = READERS[name](FileTaskOptions(path=path), data_dir)
    assert (len(tasks), tasks[0].answer) == (number, first)
    assert all(isinstance(task.meta.get("level", 1), int) for task in tasks)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "path", "number", "commas"), [
    ("gsm8k", "gsm8k/test.jsonl", 1319, 14), ("gsm8k", "gsm8k/train_first1000.jsonl", 1000, 8),
    ("math", "math500/test.jsonl", 500, 28), ("math", "math/train_700.jsonl", 700, 41),
])
def test_no_record_of_a_whole_file_is_lost(shared_dir: Path, name: str, path: str, number: int, commas: int) -> None:
    tasks = READERS[name](FileTaskOptions(path=path), shared_dir / "data")
    assert len(tasks) == number
    assert sum("," in (task.answer or "") for task in tasks) == commas
