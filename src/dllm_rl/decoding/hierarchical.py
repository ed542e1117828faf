"""Hierarchical unmasking: sure positions, and one of every gap between revealed ones.

Letters: B rows, b block size.
"""

from typing import ClassVar

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, best, due, passes, ranks


class Hierarchical(Strategy):
    """Positions above ``hierarchical_high``; the best of each run of masks if above ``hierarchical_low``; what is due."""

    paced: ClassVar[bool] = False

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        sure = masked & passes(scores, config.hierarchical_high, step)
        split = best_of_runs(scores, masked) & passes(scores, config.hierarchical_low, step)
        return sure | split | best(scores, masked, due(step, step.quota))


def best_of_runs(scores: Tensor, masked: Tensor) -> Tensor:
    """(B, b) bool: in each maximal run of neighbouring masks the best position, the left one of equals.

    Example:
        >>> best_of_runs(torch.tensor([[.1, .3, .9, .2]]), torch.tensor([[True, True, False, True]])).tolist()
        [[False, True, False, True]]
    """
    before = torch.nn.functional.pad(masked, (1, 0))[:, :-1]
    run = (masked & ~before).long().cumsum(-1)
    place = ranks(scores, masked)
    smallest = torch.full_like(place, scores.shape[-1]).scatter_reduce(
        -1, (run - 1).clamp(min=0), place.masked_fill(~masked, scores.shape[-1]), "amin")
    return masked & (place == smallest.gather(-1, (run - 1).clamp(min=0)))
