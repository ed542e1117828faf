"""Policy losses: one item per target, to be minimised.

Letters: T targets.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.records import TargetBatch


def importance_ratio(batch: TargetBatch, options: TokenClipOptions) -> Tensor:
    """(T,) ``exp`` of the clamped log-ratio of current to old probability; gradients flow through ``logps``."""
    return (batch.logps - batch.old_logps).clamp(-options.max_log_ratio, options.max_log_ratio).exp()


def surrogates(batch: TargetBatch, options: TokenClipOptions) -> tuple[Tensor, Tensor]:
    """(T,) ratio times advantage, and the same with the ratio clipped to [1 - eps, 1 + eps_high]."""
    ratio = importance_ratio(batch, options)
    upper = options.eps if options.eps_high is None else options.eps_high
    return ratio * batch.advantages, ratio.clamp(1 - options.eps, 1 + upper) * batch.advantages


def token_clip(batch: TargetBatch, options: TokenClipOptions) -> Tensor:
    """Clipped surrogate of each target, ``-min(r A, clip(r, 1 - eps, 1 + eps_high) A)`` (SPEC 2.6; PPO).

    Args:
        batch: targets; gradients flow through ``logps``.
        options: clip distances, and the clamp of log-ratios, which also stops the gradient beyond it.

    Returns:
        (T,) float32 items; the loss is ``sum(scale * item)``.
    """
    plain, clipped = surrogates(batch, options)
    return -torch.minimum(plain, clipped)
