"""What a reward is to its callers."""

from collections.abc import Callable

from dllm_rl.records import Rollout, Scored, Task

RewardFunction = Callable[[list[Task], list[Rollout]], list[Scored]]
"""Scores a batch: one task per rollout, one score per rollout, in order."""
