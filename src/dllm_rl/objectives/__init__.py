"""Objectives: advantages, per-target losses and how they are summed. Tensors in, tensors out."""

from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.diagnostics import RatioStatistics, ratio_statistics
from dllm_rl.objectives.reduction import BatchSizes, target_scale

__all__ = ["BatchSizes", "RatioStatistics", "cross_entropy", "ratio_statistics", "target_scale"]
