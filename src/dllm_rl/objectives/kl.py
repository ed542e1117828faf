"""KL terms: estimators per target of how far the policy has gone from the old one (SPEC 2.6).

With ``d = logps - old_logps`` at tokens the old policy drew. Letters: T targets.
"""

from torch import Tensor

from dllm_rl.records import TargetBatch

MAX_LOG_RATIO = 10.0
"""Bound of the exponent in ``k3``, as published."""


def k1(batch: TargetBatch) -> Tensor:
    """(T,) the log-ratio ``d`` itself, not clamped."""
    return batch.logps - batch.old_logps


def k3(batch: TargetBatch) -> Tensor:
    """(T,) ``exp(-d) - 1 + d``, never negative up to the clamp of the exponent to +-10."""
    log_ratio = k1(batch)
    return (-log_ratio).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() - 1 + log_ratio
