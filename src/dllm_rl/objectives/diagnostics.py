"""What a trainer logs about its importance ratios."""

from dataclasses import dataclass

import torch

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.objectives.policy_losses import importance_ratio, surrogates
from dllm_rl.records import TargetBatch


@dataclass(frozen=True)
class RatioStatistics:
    """Figures of one batch of targets.

    Attributes:
        clip_fraction: share of targets whose clipped surrogate is the smaller one, so that they pull no more.
        ratio_min, ratio_max: extremes of the importance ratio.
        approx_kl: mean of ``r - 1 - log r``, an estimate of KL(old || new) in nats on tokens the old policy drew.

    Example: ``RatioStatistics(clip_fraction=0.25, ratio_min=0.8, ratio_max=1.3, approx_kl=0.01)``
    """

    clip_fraction: float
    ratio_min: float
    ratio_max: float
    approx_kl: float


@torch.no_grad()
def ratio_statistics(batch: TargetBatch, options: TokenClipOptions) -> RatioStatistics:
    """Statistics of the ratios of a batch; those of ratios of 1 if it has no targets. Reads the device."""
    if not len(batch.logps):
        return RatioStatistics(clip_fraction=0.0, ratio_min=1.0, ratio_max=1.0, approx_kl=0.0)
    ratio = importance_ratio(batch, options)
    plain, clipped = surrogates(batch, options)
    figures = torch.stack([(clipped < plain).to(torch.float32).mean(), ratio.min(), ratio.max(),
                           (ratio - 1 - ratio.log()).mean()])
    return RatioStatistics(*figures.tolist())
