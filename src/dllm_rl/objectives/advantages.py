"""Advantages: what the rewards of one task's responses say about each of them.

Letters: G responses of one task.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import GroupZOptions


def group_z(rewards: Tensor, options: GroupZOptions) -> Tensor:
    """z-score within the group, ``(r - mean) / std`` with the population standard deviation (SPEC 2.7; GRPO).

    Args:
        rewards: (G,) any real dtype.
        options: without ``divide_by_std`` the rewards are only centred.

    Returns:
        (G,) float32; zeros where all rewards are equal, which is tested on the rewards themselves, since the deviation
        of equal numbers need not round to 0. Computed in float64.

    Raises:
        ValueError: ``rewards`` is not one finite number per response.
    """
    values = rewards.to(torch.float64)
    if values.ndim != 1 or not len(values) or not bool(values.isfinite().all()):
        raise ValueError(f"a group needs one finite reward per response, got {rewards.tolist()}")
    centred = values - values.mean()
    if bool((values == values[0]).all()):
        return torch.zeros_like(values, dtype=torch.float32)
    return (centred / centred.square().mean().sqrt() if options.divide_by_std else centred).to(torch.float32)
