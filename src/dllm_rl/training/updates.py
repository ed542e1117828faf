"""The gradient of one update: log-probabilities of packed targets, a loss of them, pack by pack.

The loop knows no method: a method is the views that made the packs and the ``items`` function of the targets.

Letters: M targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import Pack, Targets, log_probs_and_entropy, pack_log_probs
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
    kl_factor: Tensor


@dataclass(frozen=True)
class Scores:
    """What a pass over all packs found at the targets, without gradients.

    Attributes:
        logps: (M,) float32 log-probabilities (nats) under the weights of the pass.
        entropy: (M,) float32 entropy (nats) of the distribution at each target.
        loss: the pass's loss; 0 where none was computed.

    Example: ``Scores(torch.tensor([-0.1]), torch.tensor([0.4]), 0.1).logps``
    """

    logps: Tensor
    entropy: Tensor
    loss: float = 0.0


def evaluate(lm: LanguageModel, packs: Sequence[Pack], targets: Targets) -> Scores:
    """Log-probabilities and entropies at all targets."""
    found = torch.zeros(len(targets.labels), 2, device=lm.device)
    with torch.no_grad():
        for pack in packs:
            found[pack.targets.to(lm.device)] = pack_log_probs(lm, pack, targets, log_probs_and_entropy)
    return Scores(found[:, 0], found[:, 1])


def backward(lm: LanguageModel, packs: Sequence[Pack], targets: Targets, columns: TargetColumns,
             items: Items) -> Scores:
    """Accumulate the gradient of ``sum(scale * items)`` over packs; the split into packs does not change it."""
    loss, scores = 0.0, torch.zeros(len(targets.labels), 2, device=lm.device)
    for pack in packs:
        where = pack.targets
        found = pack_log_probs(lm, pack, targets, log_probs_and_entropy)
        logps = found[:, 0]
        old = logps.detach() if columns.old_logps is None else columns.old_logps[where].to(lm.device)
        rest = [column[where].to(lm.device) for column in
                (columns.advantages, columns.scale, targets.response, targets.row, columns.kl_factor)]
        batch = TargetBatch(logps, old, *rest)
        part = (batch.scale * items(batch)).sum()
        part.backward()
        loss += float(part.detach())
        scores[where.to(lm.device)] = found.detach()
    return Scores(scores[:, 0], scores[:, 1], loss)


def backward_linear(lm: LanguageModel, packs: Sequence[Pack], targets: Targets, factor: Tensor) -> None:
    """Accumulate the gradient of ``sum(factor * log-probability)`` over all targets, ``factor`` (M,) without gradients."""
    for pack in packs:
        logps = pack_log_probs(lm, pack, targets)
        (factor[pack.targets.to(factor.device)] * logps).sum().backward()
