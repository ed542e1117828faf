"""A user's own function as a reward."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.contract import RewardFunction
from dllm_rl.rewards.time_limit import TIME_LIMIT, CallError, call_each

_Value = float | list[float] | dict[str, float]


def user_reward(function: Callable[..., Any], name: str, options: Mapping[str, Any],
                time_limit: float = TIME_LIMIT) -> RewardFunction:
    """Wrap ``reward(task, rollout)`` or, for whole batches, ``reward(tasks, rollouts)``.

    A first parameter called ``tasks`` makes it the batch form, which gets two lists and returns one value per rollout.
    A value is a number; or a list with one number per response token; or a dictionary of named numbers, which are all
    logged: its ``reward`` counts, or the sum of all where there is none, and its ``correct`` (0 or 1), where there is
    one, says whether the answer is right.

    Args:
        function: the user's function, or an object that can be called.
        name: what to call it in messages.
        options: further keyword arguments of the function.
        time_limit: seconds that one call may take: one rollout, or one batch in the batch form.

    Returns:
        the reward. It raises ``ValueError`` that names the task, and the line where the function failed or hangs, if
        the function raises anything (``SystemExit`` too), takes too long or returns anything else: no number, NaN,
        infinity, a list of another length. The function is called outside the main thread, where ``signal`` cannot be
        used; call ``dllm_rl.rewards.math_equal`` in place of math-verify, which limits its time by signals.

    Raises:
        ValueError: the function cannot be called with two arguments and the options.
    """
    is_batch = _takes_batches(function, name, options)
    call = functools.partial(function, **options)

    def score(tasks: list[Task], rollouts: list[Rollout]) -> list[Scored]:
        subjects = [_named(tasks)] if is_batch else [repr(task.id) for task in tasks]
        calls: list[tuple[Any, Any]] = [(tasks, rollouts)] if is_batch else list(zip(tasks, rollouts, strict=True))
        try:
            values = call_each(call, calls, time_limit)
        except CallError as error:
            raise ValueError(f"reward {name} {error.verb} on {subjects[error.number]}{error.place}") from error.__cause__
        if is_batch:
            [values] = values
            _check_batch(values, name, len(rollouts))
        return [_scored(task, rollout, value, name)
                for task, rollout, value in zip(tasks, rollouts, values, strict=True)]

    return score


def _takes_batches(function: Callable[..., Any], name: str, options: Mapping[str, Any]) -> bool:
    if not callable(function):
        raise ValueError(f"reward {name} is not a function; write def reward(task, rollout) -> float")
    try:
        signature = inspect.signature(function)
        signature.bind(None, None, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"reward {name} cannot be called as reward(task, rollout"
                         f"{''.join(f', {option}=...' for option in options)}): {error}") from error
    return next(iter(signature.parameters)) == "tasks"


def _named(tasks: list[Task]) -> str:
    return f"{len(tasks)} tasks from {tasks[0].id!r} on" if tasks else "no tasks"


def _check_batch(values: object, name: str, size: int) -> None:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != size:
        given = f"{len(values)} values" if isinstance(values, Sequence) else type(values).__name__
        raise ValueError(f"reward {name} takes batches and must return a list of {size} values, one per rollout; "
                         f"it returned {given}")


def _scored(task: Task, rollout: Rollout, value: object, name: str) -> Scored:
    where = f"reward {name} on task {task.id!r}"
    if isinstance(value, Mapping):
        return _scored_by_names(task, rollout, value, where)
    if isinstance(value, list | tuple):
        if len(value) != len(rollout.response_ids):
            raise ValueError(f"{where} returned {len(value)} numbers for {len(rollout.response_ids)} response tokens; "
                             "return one per token, or one number")
        return Scored(task, rollout, reward=[_number(item, where) for item in value])
    return Scored(task, rollout, reward=_number(value, where))


def _scored_by_names(task: Task, rollout: Rollout, value: Mapping[Any, object], where: str) -> Scored:
    detail = {str(key): _number(item, f"{where}, {key!r}:") for key, item in value.items()}
    if not detail:
        raise ValueError(f"{where} returned an empty dictionary; name at least one number")
    correct = detail.get("correct")
    if correct not in (None, 0.0, 1.0):
        raise ValueError(f"{where} returned correct = {correct}; it must be 0 or 1")
    total = detail["reward"] if "reward" in detail else sum(detail.values())
    return Scored(task, rollout, reward=total, correct=None if correct is None else bool(correct), detail=detail)


def _number(value: object, where: str) -> float:
    if not isinstance(value, SupportsFloat):
        raise ValueError(f"{where} returned {type(value).__name__}; return a number, a list with one number per "
                         "response token, or a dictionary of named numbers")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where} returned what is no single number ({error}); convert arrays to lists") from error
    if not math.isfinite(number):
        raise ValueError(f"{where} returned {number}; rewards must be finite numbers")
    return number
