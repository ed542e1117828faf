"""Advice: what is legal in a configuration but probably not meant. A rule looks at one thing and may say a sentence."""

from collections.abc import Callable
from typing import Any

from dllm_rl.config.base import Options
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.options import AdvantageOptions, BlockViewOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.run import RunConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.registry import PRESETS

Rule = Callable[[Any], str | None]
"""A configuration to a sentence, or to ``None`` where there is nothing to say."""

FEW_PASS_COUNTS = 3
"""So many pass counts or fewer let through by a filter are named."""

FEW_RESPONSES = 4
"""With fewer responses per task the mean and spread of a group are mostly noise."""

MANY_UPDATES = 16
"""Upstream's largest number of updates on one set of old log-probabilities (SPEC 2.10)."""


PARTS = ("views", "advantage", "policy_loss", "kl")
"""Choices that make a method."""


def num_updates(config: RunConfig) -> int:
    """Updates of a whole run: one per step, or in RL every share of a step's rollouts in every pass over them."""
    return config.max_steps * (updates_of_step(config) if isinstance(config, RlConfig) else 1)


def updates_of_step(config: RlConfig) -> int:
    """Updates on one step's rollouts, if all of them are trained."""
    num_rollouts = config.rollout.num_task_per_step * config.rollout.num_response_per_task
    return min(config.updates_per_step, num_rollouts) * config.num_train_epochs


def old_passes(config: RlConfig) -> int:
    """Passes over a step's rollouts that take old log-probabilities: one, one per drawing of views, or none needed."""
    if updates_of_step(config) == 1:
        return 0
    return config.num_train_epochs if config.redraw_views else 1


def _is_greedy(decoding: DecodingConfig) -> bool:
    return decoding.temperature == 0 or decoding.top_k == 1


def greedy_rollouts(config: RlConfig) -> str | None:
    """Rollouts without chance: a group of equal responses has no advantage (SPEC 2.7)."""
    if not _is_greedy(config.rollout.decoding) or config.rollout.num_response_per_task == 1:
        return None
    return ("rollout.decoding draws nothing (temperature 0 or top_k 1): all responses to a task are equal, so that no "
            "group has an advantage; set temperature=1 and top_k=0")


def rollout_temperature(config: RlConfig) -> str | None:
    """Responses drawn at another temperature than the 1 that log-probabilities are taken at (SPEC 2.5, 13)."""
    decoding = config.rollout.decoding
    if decoding.temperature == 1 or _is_greedy(decoding):
        return None
    return (f"rollout.decoding.temperature is {decoding.temperature:g}, but training scores tokens at temperature 1: "
            "the policy that is improved is not the one that was sampled; set 1 unless you mean it")


def rollout_filters(config: RlConfig) -> str | None:
    """Responses drawn from a filtered distribution that log-probabilities know nothing of (SPEC 2.5)."""
    decoding = config.rollout.decoding
    given = [f"top_k {decoding.top_k}"] * (decoding.top_k > 1) + [f"top_p {decoding.top_p:g}"] * (decoding.top_p < 1)
    if not given:
        return None
    return (f"rollout.decoding filters with {' and '.join(given)}, but training scores tokens without filters: the policy "
            "that is improved is not the one that was sampled; set top_k=0 and top_p=1 unless you mean it")


def narrow_filter(config: RlConfig) -> str | None:
    """A band of pass rates that few numbers of right answers, or none, fall into."""
    band, size = config.filter, config.rollout.num_response_per_task
    if band is None:
        return None
    kept = [str(count) for count in range(size + 1) if band.min_pass_rate <= count / size <= band.max_pass_rate]
    if not kept:
        return (f"no task can pass the filter: with {size} responses per task no number of right answers is a share of "
                f"{band.min_pass_rate:g} to {band.max_pass_rate:g}; widen the band or draw more responses")
    if len(kept) > FEW_PASS_COUNTS:
        return None
    named = " or ".join([", ".join(kept[:-1]), kept[-1]] if kept[1:] else kept)
    return (f"with {size} responses per task only tasks with {named} right answer{'s' * (named != '1')} are trained; "
            "draw more responses, or leave the filter out")


def noisy_groups(config: RlConfig) -> str | None:
    """Groups of two or three, whose mean and spread say little."""
    options, size = config.advantage.options, config.rollout.num_response_per_task
    compares = isinstance(options, AdvantageOptions) and options.min_group_size > 1
    if not compares or size >= FEW_RESPONSES:
        return None
    return (f"rollout.num_response_per_task is {size}: advantage {config.advantage.name!r} compares a response with the "
            f"mean of so few that it is mostly noise; draw {FEW_RESPONSES} or more (upstream: 16)")


def many_updates(config: RlConfig) -> str | None:
    """So many updates on one set of rollouts that the last ones are far from the policy that drew them (SPEC 2.10)."""
    updates = updates_of_step(config)
    if updates <= MANY_UPDATES:
        return None
    return (f"a step makes {updates} updates on one set of rollouts (updates_per_step times num_train_epochs); upstream "
            f"makes at most about {MANY_UPDATES}; the later an update, the more of its targets are clipped")


def more_updates_than_responses(config: RlConfig) -> str | None:
    """A step's rollouts that cannot be dealt to as many updates as are asked for."""
    num_rollouts = config.rollout.num_task_per_step * config.rollout.num_response_per_task
    if config.updates_per_step <= num_rollouts:
        return None
    return (f"updates_per_step is {config.updates_per_step}, but a step has {num_rollouts} responses, and an update needs "
            f"one; at most {num_rollouts} updates are made")


def idle_kl(config: RlConfig) -> str | None:
    """A KL term that is only ever taken between equal weights (SPEC 2.6)."""
    if not config.beta or updates_of_step(config) > 1:
        return None
    return (f"beta is {config.beta:g} with one update per step: the weights are still those of the step's start, so the "
            "KL term is 0 and k3 changes no gradient; raise updates_per_step or num_train_epochs, or set beta=0")


def replaced_part(config: RlConfig) -> str | None:
    """A choice of a method's preset that something written in the configuration replaces."""
    chosen: dict[str, tuple[str, str]] = {}
    for preset in config.preset:
        own = PRESETS.load(preset).get(RlConfig, {}) if preset in PRESETS else {}
        chosen |= {part: (preset, own[part]["name"]) for part in PARTS if part in own}
    replaced = {part: names for part, names in chosen.items() if vars(config)[part].name != names[1]}
    if not replaced:
        return None
    [(part, (preset, name)), *_] = replaced.items()
    return (f"preset {preset!r} has {part} {name!r}, but {part} {vars(config)[part].name!r} is written, which wins: this "
            f"is another method than its preset says; leave {part} out to have it as the preset has it")


def long_warmup(config: RunConfig) -> str | None:
    """A warm-up as long as the run."""
    warmup, updates = config.optimizer.warmup_steps, num_updates(config)
    if warmup < updates or warmup <= 1:
        return None
    reached = config.optimizer.learning_rate * updates / warmup
    return (f"optimizer.warmup_steps is {warmup} and the run makes {updates} updates: the learning rate rises to its end "
            f"and reaches {reached:.2g} of {config.optimizer.learning_rate:.2g}; lower warmup_steps")


def weights_counted_twice(config: SftConfig) -> str | None:
    """Views weighed by 1/p, each divided by its own number of targets, which is p times its length (SPEC 5.3)."""
    if not isinstance(config.views.options, BlockViewOptions) or config.reduction.divisor != "targets":
        return None
    return (f"views {config.views.name!r} weigh each target by 1/p, and reduction.divisor=targets divides by their number "
            "once more, so that lightly masked responses count most; set reduction.divisor=answer_tokens")


def equal_answers(config: EvalConfig | GenerateConfig) -> str | None:
    """Several samples of a decoding without chance."""
    return _equal_samples("", config.decoding, config.num_samples)


def equal_held_out_answers(config: RlConfig) -> str | None:
    """Several held-out samples of a decoding without chance."""
    return _equal_samples("evaluation.", config.evaluation.decoding, config.evaluation.num_samples)


def _equal_samples(section: str, decoding: DecodingConfig, num_samples: int) -> str | None:
    if num_samples == 1 or not _is_greedy(decoding):
        return None
    return (f"{section}num_samples is {num_samples}, but {section}decoding draws nothing (temperature 0 or top_k 1): all "
            f"samples of a prompt are equal; set {section}num_samples=1")


RULES: dict[type[Options], tuple[Rule, ...]] = {
    RlConfig: (greedy_rollouts, rollout_temperature, rollout_filters, narrow_filter, noisy_groups, many_updates,
               more_updates_than_responses, idle_kl, replaced_part, equal_held_out_answers),
    SftConfig: (weights_counted_twice,),
    RunConfig: (long_warmup,),
    EvalConfig: (equal_answers,),
    GenerateConfig: (equal_answers,),
}
"""The rules of each kind of configuration; those of a kind hold for the kinds derived from it."""


def advice(config: Options) -> list[str]:
    """Sentences about what is legal in a configuration but probably not meant; none for a kind without rules."""
    rules = [rule for kind, own in RULES.items() if isinstance(config, kind) for rule in own]
    return [sentence for rule in rules if (sentence := rule(config)) is not None]
