"""Task sets of the package ``reasoning-gym`` (the extra ``tasks``): generated problems with scorers of their own.

A scorer runs in this process and reads what the model wrote. Most only parse it; those in ``EVALUATING`` hand it to
Python's ``eval``, by themselves or through sympy, so that a response could run any code. They are refused by name. The
list was found by reading the scorers of version 0.1.25 and by watching what they compile. A scorer of your own may be
no better: look at it first.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dllm_rl.config.options import ReasoningGymTaskOptions
from dllm_rl.records import Task
from dllm_rl.registry import nearest

try:
    from reasoning_gym.factory import DATASETS, create_dataset
except ImportError as error:
    raise ImportError(f"it needs the package reasoning-gym ({error}); pip install 'dllm-rl[tasks]'") from error

EVALUATING = frozenset({
    "binary_matrix", "composite", "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication",
    "puzzle24", "simple_integration", "spiral_matrix", "string_insertion",
})
"""Data sets whose scorers evaluate the answer as Python code; ``composite`` mixes any others."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What scorers raise about answers in a form that they did not expect."""


def reasoning_gym_tasks(options: ReasoningGymTaskOptions, folder: Path | None = None) -> list[Task]:
    """The first ``size`` problems of a data set and seed.

    Args:
        options: data set, how many, seed, and settings of the data set.
        folder: not used; task sets share one signature.

    Returns:
        tasks with ids ``reasoning_gym/dataset/seed/place``. ``meta`` has ``dataset``, its ``config`` and the
        ``entry`` as the package made it, which ``score_answer`` needs. The gold answer is ``None`` where a data set has
        no single one.

    Raises:
        ValueError: an unknown data set or setting, a value that the data set refuses, or a scorer that runs code.
    """
    config = {**options.config, "size": options.size, "seed": options.seed}
    _check(options.dataset, options.config)
    problems = _dataset(options.dataset, json.dumps(config))
    return [_task(options, config, place, problems[place]) for place in range(options.size)]


def score_answer(task: Task, answer: str) -> float | None:
    """What the task's data set says about an answer.

    Args:
        task: one of ``reasoning_gym_tasks``.
        answer: the answer as text.

    Returns:
        0 to 1; 1 for a right answer; ``None`` if the scorer fails, as some do at answers in an unexpected form.

    Raises:
        ValueError: the task is of another task set, or its scorer runs code or gives something else than 0 to 1.
    """
    missing = [name for name in ("dataset", "config", "entry") if name not in task.meta]
    if missing:
        raise ValueError(f"task {task.id!r} has no {missing[0]!r} in its meta, which the reward reasoning_gym needs; use "
                         "it with the task set reasoning_gym")
    name = task.meta["dataset"]
    _check(name, {})
    dataset = _dataset(name, json.dumps(task.meta["config"]))
    try:
        score = float(dataset.score_answer(answer, task.meta["entry"]))
    except _UNREADABLE:
        return None
    if not 0 <= score <= 1:
        raise ValueError(f"data set {name!r} of reasoning-gym scores task {task.id!r} with {score}; allowed: 0 to 1")
    return score


def _check(name: str, config: Mapping[str, object]) -> None:
    if name in EVALUATING:
        raise ValueError(f"data set {name!r} of reasoning-gym is refused: its scorer evaluates the model's answer as "
                         "Python code; choose another data set")
    if name not in DATASETS:
        raise ValueError(f"reasoning-gym has no data set {name!r}{nearest(name, list(DATASETS))}; "
                         f"it has {len(DATASETS)}, listed in its README")
    known = [item.name for item in dataclasses.fields(DATASETS[name][1]) if item.name not in ("size", "seed")]
    for key in config:
        if key not in known:
            remedy = "; give it beside 'dataset'" if key in ("size", "seed") else nearest(key, known)
            raise ValueError(f"data set {name!r} of reasoning-gym has no setting {key!r} in config{remedy}; "
                             f"known: {', '.join(known)}")


@functools.lru_cache(maxsize=8)
def _dataset(name: str, config: str) -> Any:  # noqa: ANN401 - a class of the package
    """The data set with these settings, as JSON so that they can be a key of the cache."""
    try:
        return create_dataset(name, **json.loads(config))
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"data set {name!r} of reasoning-gym refuses its config {config}: {error}") from error


def _task(options: ReasoningGymTaskOptions, config: Mapping[str, object], place: int, entry: Mapping[str, Any]) -> Task:
    answer = entry["answer"]
    return Task(id=f"reasoning_gym/{options.dataset}/{options.seed}/{place}", question=entry["question"],
                answer=answer if isinstance(answer, str) else None,
                meta={"dataset": options.dataset, "config": dict(config), "entry": dict(entry)})
