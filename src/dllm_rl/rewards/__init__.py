"""Rewards: what a response is worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dllm_rl.config.base import Options, read_options
from dllm_rl.registry import REWARDS
from dllm_rl.rewards.contract import RewardFunction
from dllm_rl.rewards.math_equality import math_equal
from dllm_rl.rewards.time_limit import TIME_LIMIT
from dllm_rl.rewards.user import user_reward

__all__ = ["RewardFunction", "build_reward", "math_equal"]


def build_reward(name: str, options: Options | Mapping[str, Any], folder: Path | None = None,
                 time_limit: float = TIME_LIMIT) -> RewardFunction:
    """The reward called ``name``.

    Args:
        name: an entry of ``REWARDS``, or the import path of a function ``(task, rollout)`` or ``(tasks, rollouts)``
            (see ``user_reward``), which gets the options as keyword arguments.
        options: the options model of the entry, or the names and values for one.
        folder: what a relative file path in ``name`` starts from; the working directory if not given.
        time_limit: seconds that one call of a user's function may take; the entries of ``REWARDS`` are not limited.

    Raises:
        ValueError: an unknown name or option, a value out of range, or a function that cannot be called so.
    """
    target, model = REWARDS.load(name, folder), REWARDS.options(name)
    if model is None:
        return user_reward(target, name, options.model_dump() if isinstance(options, Options) else options, time_limit)
    return target(options if isinstance(options, Options) else read_options(model, options, f"reward {name!r}"))
