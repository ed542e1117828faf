"""Tasks: data sets in, prompts out, and where the answer stands in a response."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dllm_rl.config.base import Options, read_options
from dllm_rl.records import Task
from dllm_rl.registry import TASKS

__all__ = ["load_tasks"]


def load_tasks(name: str, options: Options | Mapping[str, Any], folder: Path | None = None) -> list[Task]:
    """The tasks of a task set.

    Args:
        name: an entry of ``TASKS``, or the import path of a function ``(options, folder) -> list[Task]``, which gets
            the options as they are given here.
        options: the options model of the entry, or the names and values for one.
        folder: what relative paths start from (the configuration file's folder); the working directory if not given.

    Raises:
        ValueError: an unknown name or option, data that cannot be used, no task at all, or two tasks with one id.

    Example:
        >>> [task.question for task in load_tasks("arithmetic", {"num_tasks": 2, "max_operand": 9})]
        ['9+9', '0+6']
    """
    load, model = TASKS.load(name, folder), TASKS.options(name)
    if model is not None and not isinstance(options, Options):
        options = read_options(model, options, f"task set {name!r}")
    tasks = load(options, folder)
    _check(name, tasks)
    return list(tasks)


def _check(name: str, tasks: object) -> None:
    if not isinstance(tasks, list | tuple) or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(f"task set {name!r} must return a list of dllm_rl.records.Task, it returned "
                         f"{type(tasks).__name__}")
    if not tasks:
        raise ValueError(f"task set {name!r} has no tasks")
    [(task_id, count)] = Counter(task.id for task in tasks).most_common(1)
    if count > 1:
        raise ValueError(f"task set {name!r} has {count} tasks with the id {task_id!r}; ids must differ, "
                         "seeds derive from them")
