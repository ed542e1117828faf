"""One update: log-probabilities of packed targets, a loss of them, gradients, a step of the optimiser.

The loop knows no method: a method is the views that made the packs and the ``items`` function of the targets.

Letters: M targets.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import Pack, Targets, pack_log_probs
from dllm_rl.records import TargetBatch

Items = Callable[[TargetBatch], Tensor]
"""A batch of targets to the loss of each, unreduced."""


@dataclass(frozen=True)
class TargetColumns:
    """What every target carries besides its log-probability, each (M,) float32 in the flat order of all targets."""

    old_logps: Tensor
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
        own = [column[where].to(lm.device) for column in
               (columns.old_logps, columns.advantages, columns.scale, targets.response, targets.row)]
        batch = TargetBatch(found, *own)
        part = (batch.scale * items(batch)).sum()
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
        logps[where.to(lm.device)] = found.detach()
    return loss, logps


class Optimizer:
    """AdamW with a learning-rate schedule, gradient clipping, and a refusal to step on a gradient that is not finite."""

    def __init__(self, lm: LanguageModel, config: OptimizerConfig, num_updates: int) -> None:
        """Optimise all weights of ``lm``; ``num_updates`` is the length of the schedule."""
        self._parameters = [p for p in lm.backbone.parameters() if p.requires_grad]
        self._config = config
        self._adamw = AdamW(self._parameters, lr=config.learning_rate, betas=(config.beta1, config.beta2),
                            eps=config.epsilon, weight_decay=config.weight_decay)
        self._schedule = LambdaLR(self._adamw, lambda done: self._factor(done, num_updates))

    def _factor(self, done: int, num_updates: int) -> float:
        warmup = self._config.warmup_steps
        if done < warmup:
            return (done + 1) / warmup
        if self._config.scheduler == "constant":
            return 1.0
        progress = (done - warmup) / max(1, num_updates - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def step(self) -> float:
        """Clip, step, clear the gradients; returns the gradient's norm before clipping.

        Raises:
            FloatingPointError: the gradient is not finite; weights and optimiser state are as before.
        """
        limit = self._config.max_grad_norm or float("inf")
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, limit))
        if not math.isfinite(norm):
            self._adamw.zero_grad()
            raise FloatingPointError(f"the gradient norm is {norm}; the update was not made. Lower learning_rate or "
                                     "look for empty or damaged samples")
        self._adamw.step()
        self._adamw.zero_grad()
        self._schedule.step()
        return norm
