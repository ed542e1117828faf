"""The gradient of one update: log-probabilities of packed targets, a loss of them, pack by pack.

The loop knows no method: a method is the views that made the packs and the ``items`` function of the targets.

Letters: M targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import Pack, Targets, pack_log_probs
from dllm_rl.records import TargetBatch

Items = Callable[[TargetBatch], Tensor]
"""A batch of targets to the loss of each, unreduced."""


@dataclass(frozen=True)
class TargetColumns:
    """What every target carries besides its log-probability, each (M,) float32 in the flat order of all targets.

    ``old_logps`` of ``None`` means the present ones, detached: the first update after a rollout, whose ratios are 1.
    """

    old_logps: Tensor | None
    advantages: Tensor
    scale: Tensor


def evaluate_log_probs(lm: LanguageModel, packs: Sequence[Pack], targets: Targets) -> Tensor:
    """(M,) log-probabilities at all targets, without gradients."""
    values = torch.zeros(len(targets.labels), device=lm.device)
    with torch.no_grad():
        for pack in packs:
            values[pack.targets.to(lm.device)] = pack_log_probs(lm, pack, targets.labels[pack.targets])
    return values


def backward(lm: LanguageModel, packs: Sequence[Pack], targets: Targets, columns: TargetColumns,
             items: Items) -> tuple[float, Tensor]:
    """Accumulate the gradient of ``sum(scale * items)`` over packs; the split into packs does not change it.

    Returns:
        the loss, and (M,) log-probabilities at all targets under the weights of this pass.
    """
    loss, logps = 0.0, torch.zeros(len(targets.labels), device=lm.device)
    for pack in packs:
        where = pack.targets
        found = pack_log_probs(lm, pack, targets.labels[where])
        old = found.detach() if columns.old_logps is None else columns.old_logps[where].to(lm.device)
        rest = [column[where].to(lm.device) for column in
                (columns.advantages, columns.scale, targets.response, targets.row)]
        batch = TargetBatch(found, old, *rest)
        part = (batch.scale * items(batch)).sum()
        part.backward()
        loss += float(part.detach())
        logps[where.to(lm.device)] = found.detach()
    return loss, logps
