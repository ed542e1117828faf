"""Maths task sets read from files in the format they were published in.

Each function is an entry of ``TASKS``. The id of a task is ``set/file/row`` with the file's name without its endings
and the 0-based place of the record, so it is the same on every machine and whatever the limit.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dllm_rl.config.options import FileTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.extraction import last_boxed
from dllm_rl.tasks.reading import Row, read_rows


def math_json(options: FileTaskOptions, folder: Path | None = None) -> list[Task]:
    """Upstream's maths format: ``question`` and ``ground_truth_answer``; other fields become ``meta`` (SPEC 6.1).

    Args:
        options: which file, and how many of its records.
        folder: what a relative path starts from; the working directory if not given.

    Raises:
        ValueError: the file or one of its records cannot be used; file, place, field and remedy are named.
    """
    return _tasks("math_json", options, folder, _math_json_fields)


def gsm8k(options: FileTaskOptions, folder: Path | None = None) -> list[Task]:
    """GSM8K as published: the answer is the text after the last ``####``, thousands commas kept.

    ``meta["solution"]`` is the working that precedes it. Arguments and errors as in ``math_json``.
    """
    return _tasks("gsm8k", options, folder, _gsm8k_fields)


def math(options: FileTaskOptions, folder: Path | None = None) -> list[Task]:
    r"""MATH and MATH500 as published: the answer is the field ``answer`` or the last ``\boxed{}`` of ``solution``.

    ``meta`` has ``subject`` (called ``type`` in MATH) and ``level`` as a number where the file has "Level 3".
    Arguments and errors as in ``math_json``.
    """
    return _tasks("math", options, folder, _math_fields)


_Fields = tuple[str, str, dict[str, Any]]
"""Question, answer, meta."""


def _tasks(name: str, options: FileTaskOptions, folder: Path | None, read: Callable[[Row], _Fields]) -> list[Task]:
    path = (folder or Path.cwd()) / options.path
    stem = path.name.partition(".")[0]
    tasks = []
    for row in read_rows(path, options.limit):
        question, answer, meta = read(row)
        tasks.append(Task(id=f"{name}/{stem}/{row.number}", question=question, answer=answer, meta=meta))
    return tasks


def _math_json_fields(row: Row) -> _Fields:
    return (row.text("question"), row.answer("ground_truth_answer"), row.others("question", "ground_truth_answer"))


def _gsm8k_fields(row: Row) -> _Fields:
    working, marker, answer = row.text("answer").rpartition("####")
    if not marker or not answer.strip():
        raise row.error("field 'answer' has no text after '####'; end it with a line '#### 42'")
    meta = row.others("question", "answer") | {"solution": working.rstrip()}
    return row.text("question"), answer.strip(), meta


def _math_fields(row: Row) -> _Fields:
    meta = row.others("problem", "answer", "type")
    if "type" in row.fields:
        meta["subject"] = row.fields["type"]
    level = re.fullmatch(r"Level (\d+)", str(row.fields.get("level", "")))
    if level:
        meta["level"] = int(level[1])
    return row.text("problem"), row.answer("answer") if "answer" in row.fields else _boxed_solution(row), meta


def _boxed_solution(row: Row) -> str:
    answer = last_boxed(row.text("solution"))
    if answer is None or not answer.strip():
        raise row.error(r"field 'solution' has no \boxed{answer}, and there is no field 'answer'; add one of them")
    return answer
