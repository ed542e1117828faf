"""Verdicts without mathematics are never wrong, and leave the rest open."""

import time
from fractions import Fraction
from itertools import product

import pytest

from dllm_rl.rewards.plain_equality import decide_plainly

DECIMALS = ["0", "-0", "+0.0", "7", "07", "7.", "7.0", "-7", "+7", "7.5", "07.50", ".5", "0.5", "-.5", "70", "0.05"]


def value(text: str) -> Fraction:
    """The number that a plain decimal stands for."""
    return Fraction(text.rstrip(".") if text.endswith(".") else text)


@pytest.mark.parametrize(("gold", "answer"), list(product(DECIMALS, DECIMALS)))
def test_plain_decimals_compare_by_value(gold: str, answer: str) -> None:
    assert decide_plainly(gold, answer, 100) is (value(gold) == value(answer))


@pytest.mark.parametrize(("gold", "answer", "verdict"), [
    ("\\frac{1}{2}", " \\frac{1}{2}\n", True),
    ("x  +\n1", "x + 1", True),
    ("5", "", False),
    ("", " ", False),
    ("1/2", "0.5", None),
    ("1,000", "1000", None),
    ("1 1/2", "11/2", None),  # white space between signs means something
    ("5", ".", None),
    ("5", "5 cm", None),
    ("5", "\u0665", None),  # another script's five is not a plain decimal
    ("x", "y" * 101, False),
    ("y" * 101, "y" * 101, True),
])
def test_texts(gold: str, answer: str, verdict: bool | None) -> None:
    assert decide_plainly(gold, answer, 100) is verdict


@pytest.mark.parametrize("text", ["9" * 10**6, "0" * 10**6 + "5", "9" * 10**6 + "x", "-" * 10**6])
def test_long_texts_take_linear_time(text: str) -> None:
    start = time.process_time()
    assert decide_plainly(text, text, 100) is True
    assert decide_plainly("5", text, 100) is text.endswith("05")
    assert time.process_time() - start < 2  # about 0.02 s
