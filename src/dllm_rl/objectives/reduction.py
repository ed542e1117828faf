"""Reduction: the factor of each target in a loss, ``loss = sum(scale * item)`` (SPEC 2.6, 5.3 and 13).

Letters: T targets of one update's batch, R views of it that hold a target.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.config.options import ReductionOptions


@dataclass(frozen=True)
class BatchSizes:
    """Lengths that divisors need and targets do not tell.

    Attributes:
        padded_length: longest response of the whole step's data, L1.
        answer_tokens: response tokens of the update's batch, masked or not, each response counted once.
        max_gen_length: length limit of the rollouts.

    Example (two responses of 3 and 5 tokens):
        >>> BatchSizes(padded_length=5, answer_tokens=8, max_gen_length=16).padded_length
        5
    """

    padded_length: int
    answer_tokens: int
    max_gen_length: int | None = None


def _num_views(row: Tensor) -> int:
    return len(row.unique())


def _padded_length(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Every view divided by L1, mean over views."""
    return torch.full(row.shape, float(sizes.padded_length * _num_views(row)))


def _max_gen_length(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Every view divided by the length limit, mean over views; unlike L1 the same in every step."""
    if sizes.max_gen_length is None:
        raise ValueError("divisor 'max_gen_length' needs a length limit, but none is known; set max_gen_length or "
                         "choose another divisor (padded_length, targets, tokens, answer_tokens)")
    return torch.full(row.shape, float(sizes.max_gen_length * _num_views(row)))


def _targets(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Mean over a view's targets, then over views."""
    _, place, counts = row.unique(return_inverse=True, return_counts=True)
    return counts[place].to(torch.float32) * len(counts)


def _views(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Sum over a view's targets, then the mean over views."""
    return torch.full(row.shape, float(_num_views(row)))


def _tokens(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Mean over all targets."""
    return torch.full(row.shape, float(len(row)))


def _answer_tokens(row: Tensor, sizes: BatchSizes) -> Tensor:
    """Sum over targets divided by all response tokens."""
    return torch.full(row.shape, float(sizes.answer_tokens))


DIVISORS: dict[str, Callable[[Tensor, BatchSizes], Tensor]] = {
    "padded_length": _padded_length,
    "max_gen_length": _max_gen_length,
    "targets": _targets,
    "views": _views,
    "tokens": _tokens,
    "answer_tokens": _answer_tokens,
}
"""(T,) divisor of each target, by the value of the option ``divisor``."""


def target_scale(options: ReductionOptions, row: Tensor, weight: Tensor, sizes: BatchSizes) -> Tensor:
    """The factor of every target: its weight in its view over the chosen divisor.

    Args:
        options: which divisor.
        row: (T,) int64 on the CPU; which view a target belongs to, numbered through the update's batch. It has to be
            the whole batch: micro-batches take their share of the result, so that sums over them add up to the loss.
        weight: (T,) float32, ``View.weight`` at the targets.
        sizes: lengths beyond the targets.

    Returns:
        (T,) float32. Views without targets do not occur in ``row`` and count nowhere.

    Raises:
        ValueError: the divisor's length is unknown.
    """
    return weight / DIVISORS[options.divisor](row, sizes)


def kl_factor(options: ReductionOptions, kl_options: ReductionOptions, row: Tensor, sizes: BatchSizes) -> Tensor:
    """(T,) what a target's KL term is multiplied with beside ``target_scale``, so that it is reduced by its own divisor.

    Raises:
        ValueError: a divisor's length is unknown.
    """
    return DIVISORS[options.divisor](row, sizes) / DIVISORS[kl_options.divisor](row, sizes)
