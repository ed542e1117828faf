"""Options are checked when read, frozen, and wrong ones are all named."""

import pytest
from pydantic import Field, ValidationError

from dllm_rl.config.base import Names, Options, read_options
from dllm_rl.config.problems import OptionsError


class Inner(Options):
    size: int = Field(1, ge=1)
    rate: float = Field(0.5, gt=0)


class Outer(Options):
    inner: Inner = Field(Inner(size=4))
    names: Names = Field(default_factory=list)


def test_a_section_given_in_part_keeps_the_declared_default() -> None:
    assert Outer(inner={"rate": 0.1}).inner == Inner(size=4, rate=0.1)
    assert Outer(inner={"size": 2}).inner == Inner(size=2)
    assert Outer(inner=Inner(rate=0.1)).inner == Inner(size=1, rate=0.1)


def test_names_are_a_list_or_a_text_with_commas() -> None:
    assert Outer(names="a, b").names == Outer(names=["a", "b"]).names == ["a", "b"]


def test_options_are_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().size = 3
    assert Inner(rate=2).rate == 2.0
    for wrong in ({"size": True}, {"size": "3"}, {"size": 2.0}, {"rate": float("nan")}, {"rate": float("inf")}):
        with pytest.raises(ValidationError):
            Inner(**wrong)


def test_read_options_names_every_problem() -> None:
    with pytest.raises(OptionsError) as caught:
        read_options(Inner, {"siz": 3, "rate": -1.0, "size": "many"}, "view 'x'")
    assert str(caught.value) == (
        "view 'x' has no option 'siz'; did you mean 'size'?; known: size, rate; "
        "view 'x': size: Input should be a valid integer (given: 'many'); "
        "view 'x': rate: Input should be greater than 0 (given: -1.0)")
    assert [problem.sentence for problem in caught.value.problems] == [
        "siz is no option of view 'x'; did you mean 'size'?; known: size, rate",
        "size is 'many'; allowed: whole number >= 1", "rate is -1.0; allowed: number > 0"]
    assert read_options(Inner, {"size": 3}, "x") == Inner(size=3)
