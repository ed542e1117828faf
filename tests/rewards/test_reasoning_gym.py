"""The reward of reasoning-gym tasks."""

import pytest

pytest.importorskip("reasoning_gym")

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.reasoning_gym import reasoning_gym_reward
from dllm_rl.tasks import load_tasks


def score(task: Task, text: str | None, **options: object) -> Scored:
    """The score of one response."""
    reward = reasoning_gym_reward(AnswerOptions(**{"answer": "text", **options}))
    return reward([task], [Rollout([1], [2], [1], text=text)])[0]


def task_of(dataset: str) -> Task:
    """The first task of a data set."""
    return load_tasks("reasoning_gym", {"dataset": dataset, "size": 1})[0]


def test_right_partly_right_and_no_answers() -> None:
    task = task_of("mini_sudoku")
    right, partly, none = (score(task, text) for text in (task.answer, task.answer.replace("1", "2"), "<|im_end|>"))
    assert (right.reward, right.correct, right.answer) == (1.0, True, task.answer)
    assert 0 < partly.reward < 1 and partly.correct is False
    assert (none.reward, none.correct, none.answer, none.detail) == (0.0, False, None, {"unreadable": 0.0})


def test_boxed_answers() -> None:
    task = task_of("chain_sum")
    assert score(task, rf"it is \boxed{{{task.answer}}}.", answer="boxed").reward == 1.0
    assert score(task, task.answer, answer="boxed").answer is None


def test_an_answer_that_the_scorer_fails_at_is_wrong_and_noted() -> None:
    scored = score(task_of("prime_factorization"), "hello")
    assert (scored.reward, scored.correct, scored.answer, scored.detail) == (0.0, False, "hello", {"unreadable": 1.0})


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="task 'a' has no 'dataset' in its meta"):
        score(Task("a", "?", "1"), "1")
