"""The exact reward: the same characters and nothing else."""

import pytest

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.exact import exact_reward
from dllm_rl.rewards.string_equality import string_equal
from dllm_rl.tasks import load_tasks

GRID = "4321214314323214"


def score(text: str | None, gold: str | None = GRID, **options: object) -> Scored:
    """The score of one response."""
    reward = exact_reward(AnswerOptions(**{"answer": "text", **options}))
    return reward([Task("a", "?", gold)], [Rollout([1], [2], [1], text=text)])[0]


@pytest.mark.parametrize(("text", "right", "answer"), [
    (GRID, True, GRID),
    (f" {GRID}\n<|endoftext|>", True, GRID),
    (GRID[:-1] + "3", False, GRID[:-1] + "3"),
    (f"{GRID}.1", False, f"{GRID}.1"),
    ("4,321,214,314,323,214", False, "4,321,214,314,323,214"),
    ("<|im_end|>", False, None),
    (None, False, None),
])
def test_only_the_same_text_is_right(text: str | None, right: bool, answer: str | None) -> None:
    scored = score(text)
    assert (scored.reward, scored.correct, scored.answer) == (float(right), right, answer)


def test_what_string_equality_would_let_pass() -> None:
    assert string_equal(GRID, f"{GRID}.1") and string_equal(GRID, "4,321,214,314,323,214")   # it compares floats
    assert not string_equal(GRID, GRID[:-1] + "3")      # 16 digits up to 4 are below 2^53


def test_boxed_answers() -> None:
    assert score(rf"so \boxed{{{GRID}}}", answer="boxed").correct
    assert not score(GRID, answer="boxed").correct


def test_sudoku_answers_are_right_and_questions_are_not() -> None:
    tasks = load_tasks("sudoku", {"num_tasks": 20})
    reward = exact_reward(AnswerOptions(answer="text"))
    for texts, right in (([task.answer for task in tasks], True), ([task.question for task in tasks], False)):
        assert {item.correct for item in reward(tasks, [Rollout([1], [2], [1], text=text) for text in texts])} == {right}


def test_a_task_without_a_gold_answer_is_named() -> None:
    with pytest.raises(ValueError, match="task 'a' has no gold answer, which the exact reward needs"):
        score(GRID, gold=None)
