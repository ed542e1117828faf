"""Pydantic's errors as sentences."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.problems import Problem, find_problems
from dllm_rl.config.rl import RlConfig


def sentences(model: type, values: dict) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return [problem.sentence for problem in find_problems(model, values, caught.value)]


def test_a_problem_moves_below_a_key() -> None:
    assert Problem("a", " is wrong").under("b.c").sentence == "b.c.a is wrong"
    assert Problem("", ": is wrong").under("b").sentence == "b: is wrong"
    assert Problem("", ": all is wrong").sentence == "all is wrong"


def test_a_missing_section_names_its_required_keys() -> None:
    assert sentences(EvalConfig, {"tasks": "arithmetic"}) == ["model.path is missing; allowed: text"]
    assert sentences(RlConfig, {"model": {}, "tasks": "arithmetic", "evaluation": {"every": 3}}) == [
        "model.path is missing; allowed: text",
        "evaluation.tasks is missing; allowed: math_json | gsm8k | math | arithmetic | sudoku | reasoning_gym, or your "
        "own module:object"]


def test_a_key_of_another_section_is_suggested_before_a_similar_one() -> None:
    [found] = sentences(EvalConfig, {"model": {"path": "x"}, "tasks": "arithmetic", "temperature": 1.0})
    assert found == "temperature is no known key; did you mean 'decoding.temperature'?"
    [found] = sentences(EvalConfig, {"model": {"path": "x"}, "tasks": "arithmetic", "decoding": {"topk": 1}})
    assert found == "decoding.topk is no known key; did you mean 'decoding.top_k'?"


def test_a_wrong_item_of_a_list_is_said_once_with_the_whole_list() -> None:
    assert sentences(EvalConfig, {"model": {"path": "x"}, "tasks": "arithmetic",
                                  "decoding": {"stop_token_list": [1.5, None]}}) == [
        "decoding.stop_token_list is [1.5, None]; allowed: list of text | whole number"]


def test_options_of_a_choice_get_their_full_key() -> None:
    assert sentences(EvalConfig, {"model": {"path": "x"}, "tasks": {"name": "arithmetic", "num_tasks": 0, "seeed": 1}}) == [
        "tasks.seeed is no option of task set 'arithmetic'; did you mean 'seed'?; known: num_tasks, max_operand, "
        "num_operands, zero_pad, split, seed",
        "tasks.num_tasks is 0; allowed: whole number >= 1"]


def test_what_is_no_mapping_at_all_is_said() -> None:
    assert sentences(EvalConfig, 3) == ["Input should be a valid dictionary or instance of EvalConfig"]
