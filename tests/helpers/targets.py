"""Batches of targets from tables of rows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dllm_rl.config.options import ReductionOptions
from dllm_rl.objectives import BatchSizes, target_scale
from dllm_rl.records import TargetBatch


def batch_of(logps: Tensor, old_logps: Tensor, targets: Tensor, advantages: Sequence[float], padded_length: int,
             divisor: str = "padded_length") -> TargetBatch:
    """Targets of (R, L) tables whose rows are views, with one advantage per row."""
    row, place = targets.to(torch.bool).nonzero().T
    sizes = BatchSizes(padded_length=padded_length, answer_tokens=padded_length * len(targets))
    scale = target_scale(ReductionOptions.model_validate({"divisor": divisor}), row, torch.ones(len(row)), sizes)
    return TargetBatch(logps=logps[row, place], old_logps=old_logps[row, place],
                       advantages=torch.tensor(advantages)[row], scale=scale, response=row, row=row)


def single(log_ratio: Sequence[float], advantages: Sequence[float]) -> TargetBatch:
    """Targets with these log-ratios, old log-probs of -20 and a scale of 1."""
    old = torch.full((len(log_ratio),), -20.0)
    where = torch.zeros(len(log_ratio), dtype=torch.long)
    return TargetBatch(old + torch.tensor(log_ratio), old, torch.tensor(advantages), torch.ones(len(where)), where, where)
