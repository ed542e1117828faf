"""What declarations say in words, and how nested values join."""

from typing import Literal

import pytest
from pydantic import Field, create_model

from dllm_rl.config.choice import StrategyName, ViewChoice
from dllm_rl.config.fields import allowed_values, choice_of, merge, section_of, with_section_defaults
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.registry import STRATEGIES, TASKS, VIEWS

VIEW_WORDS = f"{' | '.join(VIEWS)}, or your own module:object"


@pytest.mark.parametrize(("annotation", "bounds", "words"), [
    (int, {}, "whole number"),
    (int | None, {"ge": 1}, "whole number >= 1, or null"),
    (float, {"gt": 0, "le": 1}, "number > 0 and <= 1"),
    (bool, {}, "true | false"),
    (str, {"min_length": 1}, "text of length 1 or more"),
    (Literal["a", "b"] | None, {}, "a | b, or null"),
    (list[str | int], {}, "list of text | whole number"),
    (tuple[str, ...], {}, "list of text"),
    (ViewChoice, {}, VIEW_WORDS),
    (ViewChoice | None, {}, f"{VIEW_WORDS}, or null"),
    (StrategyName, {}, f"{' | '.join(STRATEGIES)}, or your own module:object"),
    (dict, {}, "<class 'dict'>"),
])
def test_allowed_values(annotation: object, bounds: dict, words: str) -> None:
    model = create_model("M", x=(annotation, Field(**bounds)))
    assert allowed_values(model.model_fields["x"]) == words


def test_sections_and_choices_are_told_apart() -> None:
    fields = RlConfig.model_fields
    assert section_of(fields["filter"]).__name__ == "FilterConfig"
    assert choice_of(fields["filter"]) is None
    assert choice_of(fields["views"]) is VIEWS
    assert section_of(fields["views"]) is None
    assert choice_of(SftConfig.model_fields["tasks"]) is TASKS     # inside "| None"
    assert choice_of(fields["seed"]) is None


def test_merge_goes_down_and_replaces_choices_of_another_name() -> None:
    lower = {"a": {"x": 1, "y": 2}, "b": 3, "views": {"name": "trace", "shrink": 2}}
    assert merge(lower, {"a": {"y": 5}, "b": None}) == {"a": {"x": 1, "y": 5}, "b": None, "views": lower["views"]}
    assert merge(lower, {"views": {"name": "random"}})["views"] == {"name": "random"}
    assert merge(lower, {"views": {"name": "trace", "post_num": 0}})["views"] == {
        "name": "trace", "shrink": 2, "post_num": 0}
    assert merge(lower, {"views": {"shrink": 3}})["views"] == {"name": "trace", "shrink": 3}
    assert merge(lower, {"views": "random"})["views"] == "random"


def test_defaults_of_sections_and_choices_fill_what_is_not_given() -> None:
    values = {"optimizer": {"warmup_steps": 3}, "views": {"min_p": 0.1}, "tasks": {"path": "x"}, "unknown": {"a": 1}}
    assert with_section_defaults(SftConfig, values) == {
        "optimizer": {"learning_rate": 1e-5, "warmup_steps": 3}, "views": {"name": "block", "min_p": 0.1},
        "tasks": {"path": "x"}, "unknown": {"a": 1}}
