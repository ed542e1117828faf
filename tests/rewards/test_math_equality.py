"""Both routes on the labelled pairs, and the page that lists them."""

import json
from pathlib import Path

import pytest

import dllm_rl.rewards
from dllm_rl.rewards.math_equality import default_verifier, math_equal

DOCS = Path(__file__).parents[2] / "docs" / "math_equality.md"
DIFFERENT = {"20:34", "2.314814814815 \\times 10^{-3}"}
"""Gold answers of the pairs that our rule judges otherwise than their source."""


@pytest.fixture(scope="module")
def rows(data_dir: Path) -> list[dict]:
    """The labelled pairs."""
    return [json.loads(line) for line in (data_dir / "math_equality.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def verdicts(rows: list[dict]) -> list[bool]:
    """What the verify route says of them."""
    return default_verifier().verify_pairs([(row["gold"], row["answer"]) for row in rows])


def test_every_pair_beyond_convention_is_right(rows: list[dict], verdicts: list[bool]) -> None:
    plain = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if row["convention"] is None]
    assert len(plain) == 40
    assert [row for row, verdict in plain if verdict != row["expected"]] == []


def test_the_other_pairs_follow_the_stated_rules(rows: list[dict], verdicts: list[bool]) -> None:
    different = {row["gold"] for row, verdict in zip(rows, verdicts, strict=True) if verdict != row["expected"]}
    assert different == DIFFERENT
    assert not any(verdict and not row["expected"] for row, verdict in zip(rows, verdicts, strict=True))


def test_the_page_lists_every_pair_with_both_verdicts(rows: list[dict], verdicts: list[bool]) -> None:
    page = DOCS.read_text().splitlines()
    words = {True: "equal", False: "not equal"}
    for row, verdict in zip(rows, verdicts, strict=True):
        if row["convention"] is not None:
            string = words[math_equal(row["gold"], row["answer"], route="string")]
            line = (f"| {row['convention']} | `{row['gold']}` | `{row['answer']}` | {words[row['expected']]} | "
                    f"{words[verdict]} | {string} |")
            assert line in page, line


@pytest.mark.parametrize("route", ["verify", "string"])
@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_empty_answer_equals_nothing(route: str, answer: str) -> None:
    assert math_equal(answer, answer, route=route) is False


def test_routes_differ_where_mathematics_is_needed() -> None:
    assert math_equal("\\frac{2}{4}", "\\frac{1}{2}") is True
    assert math_equal("\\frac{2}{4}", "\\frac{1}{2}", route="string") is False
    assert dllm_rl.rewards.math_equal is math_equal


def test_unknown_route() -> None:
    with pytest.raises(ValueError, match="unknown route 'verfy'; did you mean 'verify'\\?; known: verify, string"):
        math_equal("1", "1", route="verfy")


def test_the_shared_verifier_is_one_per_process() -> None:
    assert default_verifier() is default_verifier()
