"""The answer in a response."""

import time

import pytest

from dllm_rl.tasks.extraction import last_boxed, response_text


@pytest.mark.parametrize(("text", "answer"), [
    (r"so \boxed{5}.", "5"),
    (r"\boxed{1} and \boxed{2}", "2"),
    (r"\boxed{\frac{1}{\sqrt{2}}} done", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{\boxed{7}}", "7"),
    (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
    (r"\boxed{a \\{b}}", r"a \\{b}"),
    (r"\boxed{}", ""),
    ("\\boxed{a\nb}", "a\nb"),
    (r"\boxed{1} and then \boxed{2", None),
    (r"\boxed{1\}", None),
    (r"\boxed 5", None),
    ("the answer is 5", None),
    ("", None),
])
def test_last_boxed(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


def test_text_around_the_box_does_not_matter() -> None:
    box = r"\boxed{\{1, \frac{2}{3}\}}"
    assert last_boxed("}}{" + box + "}}{{") == last_boxed(box) == r"\{1, \frac{2}{3}\}"


@pytest.mark.parametrize(("text", "answer"), [
    ("\\boxed{" + "{" * 10**6 + "}" * 10**6 + "}", "{" * 10**6 + "}" * 10**6),
    ("\\boxed{" * 10**5 + "}" * 10**5, ""),
    ("\\boxed{" + "{" * 10**6, None),
    ("\\boxed{" + "\\" * 10**6, None),
])
def test_hostile_text_takes_linear_time(text: str, answer: str | None) -> None:
    start = time.process_time()
    assert last_boxed(text) == answer
    assert time.process_time() - start < 5  # about 0.2 s; quadratic would take minutes


@pytest.mark.parametrize(("text", "answer"), [
    ("46", "46"),
    (" 46\n<|im_end|><|endoftext|>", "46"),
    ("4<|im_end|>6<|endoftext|>", "4"),
    ("<|im_end|>46", None),
    (" \n", None),
])
def test_response_text_ends_at_the_first_end_token(text: str, answer: str | None) -> None:
    assert response_text(text, ["<|endoftext|>", "<|im_end|>"]) == answer


def test_response_text_knows_only_the_given_tokens() -> None:
    assert response_text("46<|eot_id|>", ["<|im_end|>"]) == "46<|eot_id|>"
