"""Advantages: what the rewards of one task's responses say about each of them.

Letters: G responses of one task.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import GroupZOptions, LeaveOneOutOptions


def _centred(rewards: Tensor) -> Tensor:
    """(G,) float64 rewards minus their mean; exact zeros where all are equal.

    Equality is tested on the rewards themselves, since the deviation of equal numbers need not round to 0.

    Raises:
        ValueError: ``rewards`` is not one finite number per response.
    """
    values = rewards.to(torch.float64)
    if values.ndim != 1 or not len(values) or not bool(values.isfinite().all()):
        raise ValueError(f"a group needs one finite reward per response, got {rewards.tolist()}")
    return values - values.mean() if bool((values != values[0]).any()) else torch.zeros_like(values)


def group_z(rewards: Tensor, options: GroupZOptions) -> Tensor:
    """z-score within the group, ``(r - mean) / std`` with the population standard deviation (SPEC 2.7; GRPO).

    Args:
        rewards: (G,) any real dtype.
        options: without ``divide_by_std`` the rewards are only centred.

    Returns:
        (G,) float32; zeros where all rewards are equal. Computed in float64.

    Raises:
        ValueError: ``rewards`` is not one finite number per response.
    """
    centred = _centred(rewards)
    spread = centred.square().mean().sqrt() if options.divide_by_std and bool(centred.any()) else 1.0
    return (centred / spread).to(torch.float32)


def leave_one_out(rewards: Tensor, options: LeaveOneOutOptions) -> Tensor:
    """Reward minus the mean of the *other* responses, G/(G-1) times the centred reward (RLOO; DiffuCoder, 2506.20639).

    Args:
        rewards: (G,) any real dtype.
        options: none.

    Returns:
        (G,) float32; zeros where all rewards are equal, and for a group of one, which has no others.

    Raises:
        ValueError: ``rewards`` is not one finite number per response.
    """
    size = len(rewards)
    return (_centred(rewards) * (size / max(size - 1, 1))).to(torch.float32)
