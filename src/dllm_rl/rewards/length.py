"""A reward that needs no right answers: short responses score higher. For smoke runs."""

from dllm_rl.config.options import NoOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.contract import RewardFunction


def length_reward(options: NoOptions) -> RewardFunction:
    """A reward of ``1 / (1 + n + u)`` for n response tokens, so in (0, 1].

    ``u`` in [0, 1) grows with the characters per token: among responses of n tokens each (all cut at the limit, say)
    the one with the shorter text wins, so that a group seldom has equal rewards; without text u is 0.
    """
    def score(tasks: list[Task], rollouts: list[Rollout]) -> list[Scored]:
        return [Scored(task, rollout, reward=1 / (1 + _length(rollout)))
                for task, rollout in zip(tasks, rollouts, strict=True)]

    return score


def _length(rollout: Rollout) -> float:
    num_tokens, num_chars = len(rollout.response_ids), len(rollout.text or "")
    return num_tokens + num_chars / (num_chars + num_tokens + 1)
