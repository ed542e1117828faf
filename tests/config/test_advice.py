"""Every rule of advice fires where it should and is silent where it should."""

from typing import Any

import pytest

from dllm_rl.config.advice import RULES, advice, num_updates, updates_of_step
from dllm_rl.config.demo import DemoConfig
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig

MODELS = {"rl": RlConfig, "sft": SftConfig, "eval": EvalConfig, "generate": GenerateConfig}
LEAST: dict[str, dict[str, Any]] = {
    "rl": {"tasks": "arithmetic", "evaluation": {"tasks": "arithmetic"}, "beta": 0.0},
    "sft": {"tasks": "arithmetic"}, "eval": {"tasks": "arithmetic"}, "generate": {"tasks": "arithmetic"}}

GREEDY = {"temperature": 0.0}
FIRST_ONLY = {"top_k": 1}


def rollout(**values: object) -> dict[str, Any]:
    return {"rollout": {"decoding": values}}


def band(low: float, high: float, size: int) -> dict[str, Any]:
    return {"filter": {"min_pass_rate": low, "max_pass_rate": high}, "rollout": {"num_response_per_task": size}}


def advise(command: str, values: dict[str, Any]) -> list[str]:
    return advice(parse_config(MODELS[command], {"model": {"path": "x"}, **LEAST[command], **values}, "test"))


FIRES: list[tuple[str, str, dict[str, Any], str]] = [
    ("greedy_rollouts", "rl", rollout(**GREEDY), "all responses to a task are equal"),
    ("greedy_rollouts", "rl", rollout(**FIRST_ONLY), "set temperature=1 and top_k=0"),
    ("replaced_part", "rl", {"preset": ["tracerl", "coupled"], "views": "trace"},
     "preset 'coupled' has views 'coupled', but views 'trace' is written, which wins"),
    ("replaced_part", "rl", {"preset": "coupled_grpo", "advantage": {"name": "group_z"}},
     "leave advantage out to have it as the preset has it"),
    ("rollout_temperature", "rl", rollout(temperature=0.8), "rollout.decoding.temperature is 0.8"),
    ("rollout_filters", "rl", rollout(top_k=50), "filters with top_k 50, but"),
    ("rollout_filters", "rl", rollout(top_k=50, top_p=0.9), "filters with top_k 50 and top_p 0.9, but"),
    ("narrow_filter", "rl", band(0.2, 0.8, 4), "with 4 responses per task only tasks with 1, 2 or 3 right answers are"),
    ("narrow_filter", "rl", band(0.2, 0.4, 5), "with 5 responses per task only tasks with 1 or 2 right answers are"),
    ("narrow_filter", "rl", band(0.4, 0.5, 4), "with 4 responses per task only tasks with 2 right answers are"),
    ("narrow_filter", "rl", band(0.1, 0.2, 8), "with 8 responses per task only tasks with 1 right answer are"),
    ("narrow_filter", "rl", band(0.3, 0.45, 4), "no task can pass the filter: with 4 responses per task no number of"),
    ("noisy_groups", "rl", {"rollout": {"num_response_per_task": 3}}, "rollout.num_response_per_task is 3: advantage"),
    ("many_updates", "rl", {"updates_per_step": 17}, "a step makes 17 updates"),
    ("many_updates", "rl", {"updates_per_step": 6, "num_train_epochs": 3}, "a step makes 18 updates"),
    ("more_updates_than_responses", "rl", {"updates_per_step": 9, "rollout": {
        "num_task_per_step": 2, "num_response_per_task": 4}}, "at most 8 updates are made"),
    ("idle_kl", "rl", {"beta": 0.01}, "beta is 0.01 with one update per step"),
    ("equal_held_out_answers", "rl", {"evaluation": {"tasks": "arithmetic", "decoding": GREEDY, "num_samples": 2}},
     "evaluation.num_samples is 2"),
    ("long_warmup", "rl", {"max_steps": 10, "updates_per_step": 2, "optimizer": {
        "warmup_steps": 40, "learning_rate": 1e-6}}, "reaches 5e-07 of 1e-06"),
    ("long_warmup", "sft", {"max_steps": 10, "optimizer": {"warmup_steps": 10}}, "the run makes 10 updates"),
    ("weights_counted_twice", "sft", {"reduction": {"divisor": "targets"}}, "set reduction.divisor=answer_tokens"),
    ("equal_answers", "eval", {"decoding": FIRST_ONLY, "num_samples": 3}, "num_samples is 3, but decoding draws nothing"),
    ("equal_answers", "generate", {"decoding": GREEDY, "num_samples": 2}, "num_samples is 2, but decoding draws nothing"),
]

SILENT: list[tuple[str, str, dict[str, Any]]] = [
    ("replaced_part", "rl", {"preset": ["upstream", "tracerl", "coupled"], "views": {"upper_p": 0.5}}),
    ("replaced_part", "rl", {"views": "random"}),
    ("greedy_rollouts", "rl", rollout(top_k=2)),
    ("rollout_temperature", "rl", rollout(temperature=1.0)),
    ("rollout_filters", "rl", rollout(top_k=0, top_p=1.0)),
    ("narrow_filter", "rl", band(0.2, 0.8, 16)),
    ("narrow_filter", "rl", {"rollout": {"num_response_per_task": 4}}),
    ("noisy_groups", "rl", {"rollout": {"num_response_per_task": 4}}),
    ("noisy_groups", "rl", {"rollout": {"num_response_per_task": 2}, "advantage": "./own.py:mine"}),
    ("many_updates", "rl", {"updates_per_step": 8, "num_train_epochs": 2}),
    ("many_updates", "rl", {"updates_per_step": 32, "rollout": {"num_task_per_step": 1, "num_response_per_task": 16}}),
    ("more_updates_than_responses", "rl", {"updates_per_step": 8, "rollout": {
        "num_task_per_step": 2, "num_response_per_task": 4}}),
    ("idle_kl", "rl", {"beta": 0.01, "updates_per_step": 2}),
    ("idle_kl", "rl", {"beta": 0.0}),
    ("equal_held_out_answers", "rl", {"evaluation": {"tasks": "arithmetic", "decoding": GREEDY}}),
    ("long_warmup", "rl", {"max_steps": 10, "updates_per_step": 2, "optimizer": {"warmup_steps": 19}}),
    ("long_warmup", "sft", {"max_steps": 1, "optimizer": {"warmup_steps": 1}}),
    ("weights_counted_twice", "sft", {"reduction": {"divisor": "tokens"}}),
    ("weights_counted_twice", "sft", {"views": "random", "reduction": {"divisor": "targets"}}),
    ("equal_answers", "eval", {"decoding": GREEDY}),
    ("equal_answers", "generate", {"num_samples": 8}),
]


def said_by(rule: str, command: str, values: dict[str, Any]) -> str | None:
    [found] = [own for kind, rules in RULES.items() for own in rules
               if own.__name__ == rule and issubclass(MODELS[command], kind)]
    return found(parse_config(MODELS[command], {"model": {"path": "x"}, **LEAST[command], **values}, "test"))


@pytest.mark.parametrize(("rule", "command", "values", "words"), FIRES)
def test_a_rule_fires(rule: str, command: str, values: dict[str, Any], words: str) -> None:
    said = said_by(rule, command, values)
    assert said is not None and words in said
    assert said in advise(command, values)


@pytest.mark.parametrize(("rule", "command", "values"), SILENT)
def test_a_rule_is_silent(rule: str, command: str, values: dict[str, Any]) -> None:
    assert said_by(rule, command, values) is None


def test_every_rule_is_tested_both_ways() -> None:
    names = {rule.__name__ for rules in RULES.values() for rule in rules}
    assert names == {name for name, *_ in FIRES} == {name for name, *_ in SILENT}


@pytest.mark.parametrize("command", MODELS)
def test_the_defaults_are_good(command: str) -> None:
    assert advise(command, {}) == []


def test_a_configuration_without_rules_has_no_advice() -> None:
    assert advice(DemoConfig()) == []


def test_updates_are_counted_as_the_loops_make_them() -> None:
    values = {"model": {"path": "x"}, **LEAST["rl"], "max_steps": 5, "updates_per_step": 100, "num_train_epochs": 2,
              "rollout": {"num_task_per_step": 2, "num_response_per_task": 3}}
    config = parse_config(RlConfig, values, "test")
    assert (updates_of_step(config), num_updates(config)) == (12, 60)
    assert num_updates(parse_config(SftConfig, {"model": {"path": "x"}, "tasks": "arithmetic", "max_steps": 7}, "t")) == 7
