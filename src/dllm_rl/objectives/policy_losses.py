"""Policy losses: one item per target, to be minimised.

Letters: T targets.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.records import TargetBatch


def token_clip(batch: TargetBatch, options: TokenClipOptions) -> Tensor:
    """Clipped surrogate of each target, ``-min(r A, clip(r, 1 - eps, 1 + eps_high) A)`` (SPEC 2.6; PPO).

    Args:
        batch: targets; gradients flow through ``logps``.
        options: clip distances, and the clamp of log-ratios, which also stops the gradient beyond it.

    Returns:
        (T,) float32 items; the loss is ``sum(scale * item)``.
    """
    ratio = (batch.logps - batch.old_logps).clamp(-options.max_log_ratio, options.max_log_ratio).exp()
    upper = options.eps if options.eps_high is None else options.eps_high
    return -torch.minimum(ratio * batch.advantages, ratio.clamp(1 - options.eps, 1 + upper) * batch.advantages)
