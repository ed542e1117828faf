"""A user's own reward: every form, and every fault with its place."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards import math_equal
from dllm_rl.rewards.user import user_reward

TASKS = [Task(id="a", question="?"), Task(id="b", question="?")]
ROLLOUTS = [Rollout([1], [2, 3], [1, 2], text="x"), Rollout([1], [2, 3, 4], [1, 2, 3], text="yy")]


def score(function: Callable[..., Any], **options: object) -> list[Scored]:
    """Scores of the two rollouts."""
    return user_reward(function, "own.py:f", options)(TASKS, ROLLOUTS)


def returning(value: object) -> Callable[..., Any]:
    """A reward that always returns ``value``."""
    def reward(task: Task, rollout: Rollout) -> object:
        return value
    return reward


@pytest.mark.parametrize("value", [1, 1.0, True, np.float32(1), np.int64(1), torch.tensor(1.0)])
def test_numbers(value: object) -> None:
    assert [(item.reward, item.correct) for item in score(returning(value))] == [(1.0, None), (1.0, None)]


def test_one_number_per_token() -> None:
    scored = score(lambda task, rollout: [float(token) for token in rollout.response_ids])
    assert [item.reward for item in scored] == [[2.0, 3.0], [2.0, 3.0, 4.0]]


@pytest.mark.parametrize(("value", "reward", "correct"), [
    ({"accuracy": 1.0, "format": 0.5}, 1.5, None),
    ({"reward": 0.25, "seen": 7}, 0.25, None),
    ({"correct": 1, "format": 0.1}, 1.1, True),
    ({"correct": False, "reward": 2}, 2.0, False),
])
def test_named_numbers(value: dict, reward: float, correct: bool | None) -> None:
    for item in score(returning(value)):
        assert (item.reward, item.correct) == (reward, correct)
        assert item.detail == {name: float(number) for name, number in value.items()}


def per_rollout(task: Task, rollout: Rollout, *, factor: float = 1.0) -> float:
    """Length of the text."""
    return factor * len(rollout.text or "")


def per_batch(tasks: list[Task], rollouts: list[Rollout], factor: float = 1.0) -> list[float]:
    """The same for a batch."""
    return [per_rollout(task, rollout, factor=factor) for task, rollout in zip(tasks, rollouts, strict=True)]


class Judge:
    """An object that can be called."""

    def __call__(self, tasks: list[Task], rollouts: list[Rollout], factor: float = 1.0) -> tuple[float, ...]:
        """The same once more."""
        return tuple(per_batch(tasks, rollouts, factor))


@pytest.mark.parametrize("function", [per_rollout, per_batch, Judge()])
def test_forms_agree_and_options_are_passed(function: Callable[..., Any]) -> None:
    assert [item.reward for item in score(function)] == [1.0, 2.0]
    assert [item.reward for item in score(function, factor=3)] == [3.0, 6.0]
    assert [item.task for item in score(function)] == TASKS
    assert user_reward(function, "f", {})([], []) == []


@pytest.mark.parametrize(("value", "message"), [
    (float("nan"), "reward own.py:f on task 'a' returned nan; rewards must be finite"),
    (float("-inf"), "returned -inf"),
    (None, "on task 'a' returned NoneType; return a number"),
    ("1", "returned str"),
    ([1.0], "on task 'a' returned 1 numbers for 2 response tokens; return one per token"),
    ([1.0, float("nan")], "returned nan"),
    ([1.0, "x"], "returned str"),
    ({}, "returned an empty dictionary"),
    ({"x": float("nan")}, "on task 'a', 'x': returned nan"),
    ({"correct": 0.5}, "returned correct = 0.5; it must be 0 or 1"),
    (np.ones(2), "returned what is no single number .*; convert arrays to lists"),
    (10**400, "returned what is no single number"),
])
def test_wrong_values_are_named(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(returning(value))


def failing(task: Task, rollout: Rollout) -> float:
    """Fails on the second task."""
    return {"a": 1.0}[task.id]


def failing_batch(tasks: list[Task], rollouts: list[Rollout]) -> list[float]:
    """Fails."""
    raise RuntimeError("no judge")


def test_an_exception_names_task_and_line() -> None:
    line = failing.__code__.co_firstlineno + 2
    with pytest.raises(ValueError, match=rf"own.py:f failed on 'b' at .*test_user.py, line {line}: KeyError: 'b'"):
        score(failing)
    with pytest.raises(ValueError, match=r"failed on 2 tasks from 'a' on at .*test_user.py, .*RuntimeError: no judge"):
        score(failing_batch)


@pytest.mark.parametrize(("values", "given"), [([1.0], "1 values"), (1.0, "float"), ("ab", "2 values")])
def test_a_batch_of_another_size_is_refused(values: object, given: str) -> None:
    def reward(tasks: list[Task], rollouts: list[Rollout]) -> object:
        return values

    with pytest.raises(ValueError, match=f"must return a list of 2 values, one per rollout; it returned {given}"):
        score(reward)


@pytest.mark.parametrize(("function", "options", "message"), [
    (lambda task: 1.0, {}, r"cannot be called as reward\(task, rollout\): too many"),
    (per_rollout, {"factr": 2}, r"cannot be called as reward\(task, rollout, factr=...\): .*'factr'"),
    (5, {}, "is not a function; write def reward"),
])
def test_functions_that_cannot_be_called_are_refused_at_once(function: Any, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        user_reward(function, "own.py:f", options)


def leaving(task: Task, rollout: Rollout) -> float:
    """Ends the process."""
    raise SystemExit(0)


def hanging(task: Task, rollout: Rollout) -> float:
    """Never returns on the second task."""
    while task.id == "b":
        time.sleep(0.01)
    return 1.0


def hanging_batch(tasks: list[Task], rollouts: list[Rollout]) -> list[float]:
    """Never returns."""
    while True:
        time.sleep(0.01)


def test_a_reward_cannot_end_the_process() -> None:
    with pytest.raises(ValueError, match=r"own.py:f failed on 'a' at .*test_user.py, line \d+: SystemExit: 0"):
        score(leaving)


@pytest.mark.parametrize(("function", "subject"), [(hanging, "'b'"), (hanging_batch, "2 tasks from 'a' on")])
def test_a_reward_that_hangs_is_named_with_its_line(function: Callable[..., Any], subject: str) -> None:
    line = function.__code__.co_firstlineno
    with pytest.raises(ValueError, match=rf"reward own.py:f has not returned within 0.2 s on {subject} at .*test_user.py, "
                                         rf"line ({line + 2}|{line + 3}); mend it or allow more time"):
        user_reward(function, "own.py:f", {}, time_limit=0.2)(TASKS, ROLLOUTS)


def test_a_reward_may_compare_answers_as_mathematics() -> None:
    scored = score(lambda task, rollout: float(math_equal("1/2", "0.5")))     # in worker processes: no signals here
    assert [item.reward for item in scored] == [1.0, 1.0]


def test_empty_responses_are_scored_like_others() -> None:
    empty = [Rollout([1], [], [], text=""), Rollout([1], [], [])]
    assert [item.reward for item in user_reward(per_rollout, "f", {})(TASKS, empty)] == [0.0, 0.0]
    assert [item.reward for item in user_reward(returning([]), "f", {})(TASKS, empty)] == [[], []]
