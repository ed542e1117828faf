"""From scored groups to what is trained: truncated answers, the filter, advantages.

Letters: G responses of one task.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dllm_rl.config.rl import FilterConfig, RlConfig, RolloutConfig
from dllm_rl.evaluation.summary import total_reward
from dllm_rl.records import Rollout, Scored
from dllm_rl.registry import ADVANTAGES

Groups = Sequence[Sequence[Scored]]
"""Scored answers, task by task."""


@dataclass(frozen=True)
class Selection:
    """What of a step's answers is trained.

    Attributes:
        rollouts: those with an advantage other than 0, task by task.
        advantages: (S,) float32 theirs.
        figures: counts of what was left out and why, for the log.

    Example: ``Selection([], torch.zeros(0), {"groups_all_wrong": 16, ...})`` is an update that is skipped.
    """

    rollouts: list[Rollout]
    advantages: Tensor
    figures: dict[str, object]


class Selector:
    """The rules of a run."""

    def __init__(self, config: RlConfig, folder: Path) -> None:
        """Take the rules from the configuration; the advantage's name is resolved against ``folder``."""
        self._config = config
        self._advantage = ADVANTAGES.load(config.advantage.name, folder)

    def __call__(self, groups: Groups) -> Selection:
        """Select.

        Raises:
            ValueError: a reward per token, which needs an advantage per token.
        """
        rule = TRUNCATED[self._config.rollout.truncated]
        kept = [rule(group, self._config.rollout) for group in groups]
        rollouts: list[Rollout] = []
        advantages: list[float] = []
        for group in kept:
            if group and passes(group, self._config.filter):
                values = self._advantage(torch.tensor([_outcome(scored) for scored in group]),
                                         self._config.advantage.options).tolist()
                rollouts += [scored.rollout for scored, value in zip(group, values, strict=True) if value]
                advantages += [value for value in values if value]
        truncated = sum(is_truncated(scored, self._config.rollout) for group in groups for scored in group)
        counts = {"responses_truncated": truncated, "responses_trained": len(rollouts)}
        figures = _figures(kept, self._config.filter) | counts
        return Selection(rollouts, torch.tensor(advantages), figures)


def is_truncated(scored: Scored, config: RolloutConfig) -> bool:
    """Whether an answer was cut at the length limit, or came within the margin of it (SPEC 6.2, rule 2)."""
    limit, margin = config.decoding.max_gen_length, config.truncated_margin
    return scored.rollout.finish_reason == "length" or (margin > 0 and len(scored.rollout.response_ids) >= limit - margin)


def _wrong(group: Sequence[Scored], config: RolloutConfig) -> list[Scored]:
    """A truncated answer that has a verdict is wrong, with reward 0 or its own if lower; one without a verdict is kept."""
    return [replace(scored, reward=min(0.0, total_reward(scored)), correct=False)
            if scored.correct is not None and is_truncated(scored, config) else scored for scored in group]


def _keep(group: Sequence[Scored], config: RolloutConfig) -> list[Scored]:
    return list(group)


def _drop(group: Sequence[Scored], config: RolloutConfig) -> list[Scored]:
    return [scored for scored in group if not is_truncated(scored, config)]


TRUNCATED: dict[str, Callable[[Sequence[Scored], RolloutConfig], list[Scored]]] = {
    "wrong": _wrong, "keep": _keep, "drop": _drop}
"""What becomes of truncated answers, by the value of ``rollout.truncated``."""


def pass_count(group: Sequence[Scored]) -> int:
    """Right answers of a group."""
    return sum(bool(scored.correct) for scored in group)


def passes(group: Sequence[Scored], band: FilterConfig | None) -> bool:
    """Whether a group's share of right answers lies in the band (SPEC 6.2, rule 4)."""
    return band is None or band.min_pass_rate <= pass_count(group) / len(group) <= band.max_pass_rate


def _figures(groups: Sequence[list[Scored]], band: FilterConfig | None) -> dict[str, object]:
    """Counts of groups by what training can learn from them; those without a verdict have no right or wrong."""
    judged = [group for group in groups if group and all(scored.correct is not None for scored in group)]
    histogram = Counter(pass_count(group) for group in judged)
    size = max(map(len, groups), default=0)
    return {"groups_all_right": sum(pass_count(group) == len(group) for group in judged),
            "groups_all_wrong": sum(pass_count(group) == 0 for group in judged),
            "groups_equal_rewards": sum(_equal(group) for group in groups),
            "groups_filtered": sum(bool(group) and not passes(group, band) for group in groups),
            "groups_empty": sum(not group for group in groups),
            "right_answers_histogram": {str(count): histogram[count] for count in range(size + 1)} if judged else {}}


def _equal(group: Sequence[Scored]) -> bool:
    return bool(group) and len({total_reward(scored) for scored in group}) == 1


def _outcome(scored: Scored) -> float:
    """The reward of a response as one number."""
    if isinstance(scored.reward, list):
        raise ValueError(f"the reward of task {scored.task.id!r} is a list, one number per token; advantages of groups "
                         "need one number per response")
    return scored.reward
