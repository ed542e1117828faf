"""The maths reward."""

import pytest

from dllm_rl.config.options import MathRewardOptions
from dllm_rl.records import Rollout, Task
from dllm_rl.rewards.math import math_reward

HALF = Task(id="h", question="1/2?", answer="\\frac{1}{2}")


def rollout(text: str | None) -> Rollout:
    """A response with this text."""
    return Rollout([1], [2, 3], [1, 2], text=text)


@pytest.mark.parametrize(("text", "verified", "by_string", "answer"), [
    ("so \\boxed{0.5}<|im_end|>", True, True, "0.5"),
    ("so \\boxed{\\frac{2}{4}}", True, False, "\\frac{2}{4}"),
    ("\\boxed{0.5} or \\boxed{0.4}", False, False, "0.4"),
    ("\\boxed{0.5", False, False, None),
    ("\\boxed{ }", False, False, None),
    ("0.5", False, False, None),
    ("", False, False, None),
    (None, False, False, None),
])
@pytest.mark.parametrize("route", ["verify", "string"])
def test_scores(text: str | None, verified: bool, by_string: bool, answer: str | None, route: str) -> None:
    [scored] = math_reward(MathRewardOptions(route=route))([HALF], [rollout(text)])
    correct = verified if route == "verify" else by_string
    assert (scored.reward, scored.correct, scored.answer) == (float(correct), correct, answer)
    assert scored.detail == {"string_equal": float(by_string)}
    assert scored.task is HALF and scored.rollout.text == text


@pytest.mark.parametrize(("text", "correct"), [
    ("46<|im_end|><|endoftext|>", True), (" 46\n", True), ("46.0", True), ("4<|im_end|>6", False), ("<|im_end|>", False),
    ("so 46", False),
])
def test_the_whole_text_as_answer(text: str, correct: bool) -> None:
    [scored] = math_reward(MathRewardOptions(answer="text"))([Task(id="s", question="12+34", answer="46")],
                                                             [rollout(text)])
    assert scored.correct is correct


def test_the_place_in_the_batch_does_not_matter() -> None:
    texts = ["\\boxed{0.5}", None, "\\boxed{0.6}", "\\boxed{2/4}", "\\boxed{0.5}"]
    reward = math_reward(MathRewardOptions())
    together = reward([HALF] * 5, [rollout(text) for text in texts])
    assert [scored.reward for scored in together] == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert [reward([HALF], [rollout(text)])[0] for text in texts] == together


def test_a_task_without_answer_is_named() -> None:
    with pytest.raises(ValueError, match="task 'no' has no gold answer, which the math reward needs; give it one"):
        math_reward(MathRewardOptions())([Task(id="no", question="?")], [rollout("\\boxed{1}")])
