"""What answer rewards share: the gold answer, and finding an answer in a response."""

import pytest

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Task
from dllm_rl.rewards.answers import found_answer, gold_answer


@pytest.mark.parametrize(("text", "boxed", "whole"), [
    (r"so \boxed{ 4 }<|im_end|>", "4", r"so \boxed{ 4 }"),
    (" 1234 <|endoftext|>4321", None, "1234"),
    ("<|im_end|>", None, None),
    (r"\boxed{ }", None, r"\boxed{ }"),
    ("", None, None),
    (None, None, None),
])
def test_answers_are_found_where_the_options_say(text: str | None, boxed: str | None, whole: str | None) -> None:
    rollout = Rollout([1], [2], [1], text=text)
    assert found_answer(rollout, AnswerOptions()) == boxed
    assert found_answer(rollout, AnswerOptions(answer="text")) == whole


def test_end_tokens_can_be_chosen() -> None:
    rollout = Rollout([1], [2], [1], text="12;34")
    assert found_answer(rollout, AnswerOptions(answer="text", end_tokens=[";"])) == "12"


@pytest.mark.parametrize("answer", [None, "", " "])
def test_a_task_without_a_gold_answer_is_named(answer: str | None) -> None:
    with pytest.raises(ValueError, match="task 'a' has no gold answer, which the exact reward needs; give it one or"):
        gold_answer(Task("a", "?", answer), "exact")
    assert gold_answer(Task("a", "?", " 5"), "exact") == " 5"
