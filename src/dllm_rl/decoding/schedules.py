"""Schedules: how many positions of a block are due at a step (SPEC 1.3, 1.4, 1.6).

Letters: B rows, b block size, S steps of the block, m masks.
"""

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig


def num_steps(config: DecodingConfig, block_size: int) -> int:
    """S of the block decoder: the configured steps per block, or one per position."""
    return block_size if config.denoising_steps_per_block is None else config.denoising_steps_per_block


def even_split(total: Tensor | int, steps: Tensor | int, number: Tensor) -> Tensor:
    """(B,) int64: the share of ``total`` that step ``number`` has, earlier steps taking the remainder.

    Args:
        total: (B,) int64, or one number for all rows.
        steps: S, (B,) int64, or one number for all rows.
        number: (B,) int64, 0-based.

    Example (7 over 3 steps):
        >>> [int(even_split(7, 3, torch.tensor(n))) for n in range(3)]
        [3, 2, 2]
    """
    return total // steps + (number < total % steps).long()


def timestep_share(masks: Tensor, steps: int, number: Tensor, eps: float) -> Tensor:
    """(B,) int64: Dream's schedule, ``floor(m (1 - t[i+1] / t[i]))`` with t = linspace(1, eps, S + 1); all at the last.

    Computed in float32 as published, so that some steps reveal nothing.

    Args:
        masks: (B,) int64, masks left.
        steps: S.
        number: (B,) int64, i; beyond S - 1 everything left is due.
        eps: the last noise level.
    """
    levels = torch.linspace(1, eps, steps + 1, device=masks.device)
    place = number.clamp(max=steps - 1)
    share = (masks.to(torch.float32) * (1 - levels[place + 1] / levels[place])).floor().long()
    return torch.where(number >= steps - 1, masks, share)
