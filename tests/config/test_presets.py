"""Presets become ordinary options, below what is written."""

from pathlib import Path

import pytest

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.loading import parse_config
from dllm_rl.config.options import ReductionOptions
from dllm_rl.config.presets import preset_names, with_presets
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.registry import PRESETS

MODEL = {"model": {"path": "x"}, "tasks": "arithmetic"}
RL = {**MODEL, "evaluation": {"tasks": "arithmetic"}}


def test_names_in_order_and_wrong_types_ignored() -> None:
    assert preset_names({"preset": "a,b", "compat": "upstream"}) == ["upstream", "a", "b"]
    assert preset_names({"preset": ["a", 3]}) == ["a"]
    assert preset_names({"preset": 3, "compat": None}) == []


def test_a_configuration_without_presets_stays_as_it_is() -> None:
    assert with_presets(RlConfig, RL) == RL


@pytest.mark.parametrize(("views", "options"), [
    ("trace", {"grid": "response", "post_num": 0, "shrink": 1}),
    ({"name": "random", "level": "block"}, {"grid": "response", "post_num": 0, "level": "block"}),
    ("coupled", {"grid": "response", "post_num": 0, "level": "token"}),
    ({"name": "trace", "post_num": 1, "shrink": 2}, {"grid": "response", "post_num": 1, "shrink": 2}),
    ("block", {"grid": "absolute", "post_num": None, "level": "document"}),     # native: as published in both
])
def test_upstream_sets_the_options_that_a_view_has(views: object, options: dict) -> None:
    config = parse_config(RlConfig, {**RL, "compat": "upstream", "views": views}, "x")
    assert config.views.option_values().items() >= options.items()
    assert config.reduction.divisor == "padded_length"
    assert parse_config(RlConfig, {**RL, "preset": ["upstream"], "views": views}, "x").views == config.views


def test_upstream_fine_tunes_with_semi_ar_unless_told_otherwise() -> None:
    config = parse_config(SftConfig, {**MODEL, "compat": "upstream"}, "x")
    assert (config.views.name, config.reduction.divisor) == ("semi_ar", "padded_length")
    config = parse_config(SftConfig, {**MODEL, "compat": "upstream", "views": {"name": "trace"},
                                      "reduction": {"divisor": "targets"}}, "x")
    assert (config.views.name, config.views.options.grid, config.reduction.divisor) == ("trace", "response", "targets")


@pytest.mark.parametrize(("method", "views"), [
    ("tracerl", {"name": "trace", "shrink": 1, "grid": "response", "post_num": 0}),
    ("random_masking", {"name": "random", "level": "token", "mask_times_per_sample": 1}),
    ("coupled", {"name": "coupled", "level": "token", "mask_times_per_sample": 1})])
def test_methods_lie_on_upstream(method: str, views: dict) -> None:
    config = parse_config(RlConfig, {**RL, "compat": "upstream", "preset": [method]}, "x")
    assert {"name": config.views.name, **config.views.option_values()}.items() >= views.items()
    assert (config.advantage.name, config.policy_loss.name, config.kl.name, config.beta) == (
        "group_z", "token_clip", "k3", 0.01)
    assert (config.reduction.divisor, config.kl_reduction) == ("padded_length", None)
    full = parse_config(RlConfig, {**RL, "compat": "upstream", "preset": [method, "upstream_full"]}, "x")
    assert full.reduction.divisor == "targets" and full.kl_reduction == ReductionOptions(divisor="views")
    assert full.views.option_values().get("level") in (None, "block")      # one ratio per draw: the sequence is one block


@pytest.mark.parametrize(("method", "expected"), [
    ("unigrpo", ("scheduled", "group_z", "sequence", True, 5, "views")),
    ("coupled_grpo", ("three_pass", "leave_one_out", "token", True, 2, "answer_tokens")),
    ("diffu_grpo", ("mean_field", "group_z", "target", True, 12, "tokens")),
    ("dipo", ("trace", "group_z", "target", False, 1, "tokens"))])
def test_methods_of_the_papers(method: str, expected: tuple) -> None:
    config = parse_config(RlConfig, {**RL, "preset": [method]}, "x")
    assert (config.views.name, config.advantage.name, config.importance_level, config.redraw_views, config.num_train_epochs,
            config.reduction.divisor) == expected


def test_the_order_of_presets_decides_about_values_and_not_about_choices() -> None:
    for preset in (["upstream", "random_masking"], ["random_masking", "upstream"]):
        options = parse_config(RlConfig, {**RL, "preset": preset}, "x").views.options
        assert (options.level, options.grid) == ("token", "response")
    orders = (["upstream", "upstream_full", "coupled"], ["upstream_full", "upstream", "coupled"])
    assert [parse_config(RlConfig, {**RL, "preset": preset}, "x").reduction.divisor for preset in orders] == [
        "targets", "padded_length"]


@pytest.mark.parametrize("method", [name for name in PRESETS if "views" in PRESETS.load(name).get(RlConfig, {})])
def test_every_method_has_its_row_and_its_section(method: str) -> None:
    page = (Path(__file__).parents[2] / "docs/methods.md").read_text()
    config = parse_config(RlConfig, {**RL, "preset": [method]}, "x")
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{method}` |")]
    *_, level, kl, passes, divisor = (cell.strip() for cell in row.strip("|").split("|"))
    assert f"\n## {method}\n" in page
    assert level == {"target": "a target", "token": "a token", "sequence": "the response"}[config.importance_level]
    assert kl == (f"{config.kl.name}, {config.beta:g}".replace("0.", ".") if config.beta else "none")
    assert passes == str(config.num_train_epochs)
    assert divisor == {"padded_length": "padded length", "views": "views", "answer_tokens": "response tokens",
                       "tokens": "targets"}[config.reduction.divisor]


def test_what_is_written_lies_on_a_method() -> None:
    config = parse_config(RlConfig, {**RL, "preset": ["tracerl"], "views": {"shrink": 4}, "beta": 0.5}, "x")
    assert (config.views.name, config.views.options.shrink, config.beta) == ("trace", 4, 0.5)
    config = parse_config(RlConfig, {**RL, "preset": ["diffu_grpo"], "views": "random"}, "x")
    assert (config.views.name, config.views.option_values()["lower_p"], config.beta) == ("random", 0.1, 0.04)


def test_decoding_presets_reach_every_decoding_section_and_the_last_wins() -> None:
    config = parse_config(RlConfig, {**RL, "preset": ["sdar_dynamic", "sdar_static"],
                                     "rollout": {"decoding": {"max_gen_length": 7}}}, "x")
    for decoding in (config.rollout.decoding, config.evaluation.decoding):
        assert (decoding.remasking_strategy, decoding.top_k, decoding.block_size) == ("low_confidence_static", 1, 4)
    assert (config.rollout.decoding.max_gen_length, config.evaluation.decoding.max_gen_length) == (7, 2000)
    config = parse_config(EvalConfig, {**MODEL, "preset": "sdar_dynamic"}, "x")
    assert (config.decoding.remasking_strategy, config.decoding.top_k) == ("low_confidence_dynamic", 0)


def test_what_is_wrong_is_still_named() -> None:
    with pytest.raises(ValueError, match="x: views: unknown view 'tracee'"):
        parse_config(RlConfig, {**RL, "compat": "upstream", "views": "tracee"}, "x")
    with pytest.raises(ValueError, match="x: compat is 'downstream'; allowed: upstream, or null"):
        parse_config(RlConfig, {**RL, "compat": "downstream"}, "x")
    with pytest.raises(ValueError, match="x: preset is 3; allowed: list of text"):
        parse_config(RlConfig, {**RL, "preset": 3}, "x")
