"""The string route: the MATH authors' rule and upstream's numbers on top."""

import json
import time
from pathlib import Path

import pytest

from dllm_rl.rewards.string_equality import normalise, normalised_equal, string_equal


def rows(data_dir: Path) -> list[dict]:
    """The labelled pairs."""
    return [json.loads(line) for line in (data_dir / "math_equality.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("gold", "answer", "verdict"), [
    ("0.5", "\\frac12", True),
    ("10\\%", "10", True),
    ("1,000", "1000", True),
    ("y=2x", "2x", True),
    ("\\frac{2}{4}", "\\frac{1}{2}", False),
    ("2\\sqrt{2}", "\\sqrt{8}", False),
    ("x^2+2x+1", "(x+1)^2", False),
])
def test_pairs_of_the_specification(gold: str, answer: str, verdict: bool) -> None:
    assert string_equal(gold, answer) is verdict
    assert string_equal(answer, gold) is verdict


def test_the_authors_rule_on_every_labelled_pair(data_dir: Path) -> None:
    pairs = rows(data_dir)
    wrong = [row for row in pairs if normalised_equal(row["gold"], row["answer"]) != row["hendrycks_is_equiv"]]
    assert len(pairs) == 61 and wrong == []


def test_numbers_add_two_labelled_pairs(data_dir: Path) -> None:
    added = [row["answer"] for row in rows(data_dir)
             if string_equal(row["gold"], row["answer"]) != row["hendrycks_is_equiv"]]
    assert added == ["32,\\! 349", "10080"]


@pytest.mark.parametrize(("text", "normal"), [
    ("\\tfrac{1}{2} +\\! \\dfrac1{72}\n", "\\frac{1}{2}+\\frac{1}{72}"),
    ("\\left(1, 2\\right)", "(1,2)"),
    ("90^{\\circ}", "90"),
    ("\\$1\\%", "1"),
    ("5\\text{ cm}^2", "5"),
    ("5\\text{cm}", "5\\text{cm}"),
    (".5", "\\frac{1}{2}"),
    ("x = .25", "0.25"),
    ("x = y = 5", "x=y=5"),
    ("\\sqrt3+\\sqrt{5}", "\\sqrt{3}+\\sqrt{5}"),
    ("\\frac12x\\frac{1}2", "\\frac{1}{2}x\\frac{1}2"),
    ("\\frac1", "\\frac1"),
    ("3/4", "\\frac{3}{4}"),
    ("-3/4", "\\frac{-3}{4}"),
    ("03/4", "03/4"),
    ("x / 2", "x/2"),
    ("1/2/3", "1/2/3"),
    ("\\\\frac{1}{2}", "\\frac{1}{2}"),
    ("", ""),
    ("\\left", ""),
])
def test_normal_forms(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal


def test_the_left_side_is_measured_with_its_spaces() -> None:
    assert (normalise("xy = 5"), normalise("xy=5")) == ("xy=5", "5")  # the authors drop spaces only afterwards


@pytest.mark.parametrize("text", ["1\\text{ cm} 2\\text{ cm}", "2\\sqrt", "2\\frac"])
def test_without_a_normal_form_texts_are_compared_as_they_are(text: str) -> None:
    with pytest.raises(ValueError):
        normalise(text)
    assert string_equal(text, text)
    assert not string_equal(text, text + " ")


@pytest.mark.parametrize(("gold", "answer"), [
    ("9" * 500, "8" * 500), ("1e999", "1e998"), ("10", "1_0"), ("nan", "inf"), ("5", "5 apples"), ("", "0"),
])
def test_what_is_no_number_is_compared_as_text(gold: str, answer: str) -> None:
    assert not string_equal(gold, answer)


@pytest.mark.parametrize("part", ["9", "{", "\\frac", "\\frac1", "\\sqrt3", "\\text{ ", "=", " .", "\\\\", ","])
def test_long_texts_take_linear_time(part: str) -> None:
    text = part * 10**6
    start = time.process_time()
    assert string_equal(text, text)
    assert not string_equal("5", text)
    assert time.process_time() - start < 10  # about 1 s
