"""What a trainer logs about an update."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_rl.objectives.kl import k3
from dllm_rl.records import TargetBatch


@dataclass(frozen=True)
class RatioStatistics:
    """Figures of one batch of targets.

    Attributes:
        clip_fraction: share of the targets with an advantage whose policy loss has no gradient left, whatever took it.
        ratio_min, ratio_max: extremes of the importance ratio, not clamped.
        approx_kl: mean of ``r - 1 - log r`` with ``r`` = new / old, an estimate of KL(old || new) in nats on tokens the
            old policy drew.

    Example: ``RatioStatistics(clip_fraction=0.25, ratio_min=0.8, ratio_max=1.3, approx_kl=0.01)``
    """

    clip_fraction: float
    ratio_min: float
    ratio_max: float
    approx_kl: float


def ratio_statistics(batch: TargetBatch, policy_loss: Callable[[TargetBatch], Tensor]) -> RatioStatistics:
    """Statistics of the ratios of a batch under a policy loss; those of ratios of 1 if it has no targets.

    Args:
        batch: T targets; gradients through ``logps`` are not followed further.
        policy_loss: batch to (T,) items.
    """
    if not len(batch.logps):
        return RatioStatistics(clip_fraction=0.0, ratio_min=1.0, ratio_max=1.0, approx_kl=0.0)
    log_ratio = (batch.logps - batch.old_logps).detach()
    swapped = replace(batch, logps=batch.old_logps, old_logps=batch.logps.detach())
    figures = torch.stack([_dead_share(batch, policy_loss), log_ratio.min().exp(), log_ratio.max().exp(),
                           k3(swapped).mean()])
    return RatioStatistics(*figures.tolist())


def _dead_share(batch: TargetBatch, policy_loss: Callable[[TargetBatch], Tensor]) -> Tensor:
    """Share of the targets with an advantage that have no gradient."""
    with torch.enable_grad():
        leaf = batch.logps.detach().requires_grad_()
        items = policy_loss(replace(batch, logps=leaf))
        (gradient,) = torch.autograd.grad(items.sum(), leaf)
    counted = batch.advantages != 0
    return ((gradient == 0) & counted).sum() / counted.sum().clamp(min=1)
