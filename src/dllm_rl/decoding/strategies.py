"""Unmasking strategies: which masked positions of a block take their candidate at a step (SPEC 1.3).

Letters: B rows, b block size, S steps per block, n_t positions due at step t = 0 .. S-1:
``b // S``, one more while ``t < b mod S``; at the last step all that are left.

Every strategy reveals masked positions only, at least one in a row that has any, and everything at step S - 1. Ties go
to the left. None reads a tensor's value on the host.
"""

from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig

SamplerClass = Literal["random", "sequential", "distribution", "drawn", "greedy"]
ReplayClass = Literal["selection", "history", "edit"]
Score = Literal["confidence", "negative_entropy", "position"]


class Strategy(Protocol):
    """A rule that picks positions to reveal.

    Attributes:
        score: what positions are ordered by, a name in ``sampling.SCORES``.
        sampler_class: which random choices influence the outcome at a temperature above 0 (METHODS 2.6).
        replay_class: what the record must hold for the log-probabilities to be recomputed.
    """

    score: ClassVar[Score]
    sampler_class: ClassVar[SamplerClass]
    replay_class: ClassVar[ReplayClass]

    def reveal(self, scores: Tensor, masked: Tensor, step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
        """Pick positions.

        Args:
            scores: (B, b) float32, larger is better; read at masked positions only.
            masked: (B, b) bool.
            step: (B,) int64; 0-based number of the row's step in this block.
            config: ``denoising_steps_per_block`` and the strategy's own thresholds.
            block_size: b.

        Returns:
            (B, b) bool, a subset of ``masked``.
        """
        ...


def num_steps(config: DecodingConfig, block_size: int) -> int:
    """S: the configured steps per block, or one per position."""
    return block_size if config.denoising_steps_per_block is None else config.denoising_steps_per_block


def quota(step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
    """(B,) int64: n_t, not yet capped at the masks left; the whole block at the last step."""
    steps = num_steps(config, block_size)
    due = block_size // steps + (step < block_size % steps).long()
    return torch.where(step >= steps - 1, block_size, due)


def ranks(scores: Tensor, masked: Tensor) -> Tensor:
    """(B, b) int64: 0 for the row's best masked position, 1 for the next, equal scores from the left; others last."""
    lowest = torch.finfo(scores.dtype).min
    order = scores.clamp(min=lowest).masked_fill(~masked, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(scores.shape[-1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)


def best(scores: Tensor, masked: Tensor, count: Tensor) -> Tensor:
    """(B, b) bool: the ``count`` (B,) best masked positions of each row, or all if fewer are left."""
    return masked & (ranks(scores, masked) < count[:, None])


class LowConfidenceStatic:
    """The n_t most confident positions."""

    score: ClassVar[Score] = "confidence"
    sampler_class: ClassVar[SamplerClass] = "drawn"
    replay_class: ClassVar[ReplayClass] = "selection"

    def reveal(self, scores: Tensor, masked: Tensor, step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
        """See ``Strategy``."""
        return best(scores, masked, quota(step, config, block_size))


class LowConfidenceDynamic:
    """All positions more confident than ``dynamic_threshold`` (strictly); if they are fewer than n_t, the n_t best."""

    score: ClassVar[Score] = "confidence"
    sampler_class: ClassVar[SamplerClass] = "drawn"
    replay_class: ClassVar[ReplayClass] = "selection"

    def reveal(self, scores: Tensor, masked: Tensor, step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
        """See ``Strategy``."""
        sure = masked & (scores > config.dynamic_threshold)
        return sure | best(scores, masked, quota(step, config, block_size))


class Sequential:
    """The n_t left-most masked positions."""

    score: ClassVar[Score] = "position"
    sampler_class: ClassVar[SamplerClass] = "sequential"
    replay_class: ClassVar[ReplayClass] = "selection"

    def reveal(self, scores: Tensor, masked: Tensor, step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
        """See ``Strategy``."""
        return best(torch.zeros_like(scores), masked, quota(step, config, block_size))


class EntropyBounded:
    """The longest run of most certain positions whose entropies sum to less than ``eb_threshold``, at least one."""

    score: ClassVar[Score] = "negative_entropy"
    sampler_class: ClassVar[SamplerClass] = "distribution"
    replay_class: ClassVar[ReplayClass] = "selection"

    def reveal(self, scores: Tensor, masked: Tensor, step: Tensor, config: DecodingConfig, block_size: int) -> Tensor:
        """See ``Strategy``."""
        entropies = scores.neg().clamp(min=0).masked_fill(~masked, torch.inf).sort(dim=-1).values
        count = (entropies.cumsum(-1, dtype=torch.float64) < config.eb_threshold).sum(-1).clamp(min=1)
        last = step >= num_steps(config, block_size) - 1
        return best(scores, masked, torch.where(last, block_size, count))
