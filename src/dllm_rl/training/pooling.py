"""Importance levels above the target: one ratio per token over its views, or one per response.

Letters: M targets, G items that they are pooled to.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_rl.likelihood import Targets
from dllm_rl.objectives.reduction import kl_factor, target_scale
from dllm_rl.records import TargetBatch
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.updates import Items, Scores, backward_linear


@dataclass(frozen=True)
class Pooling:
    """Which targets make one item, whose log-probability is the weighted sum of theirs.

    Attributes:
        group: (M,) int64 number of each target's item.
        weight: (M,) float32 factor of its log-probability.
        response: (G,) int64 which response an item belongs to.
    """

    group: Tensor
    weight: Tensor
    response: Tensor

    def sums(self, values: Tensor) -> Tensor:
        """(M,) values at targets to (G,) values of items."""
        group, weight = self.group.to(values.device), self.weight.to(values.device)
        return values.new_zeros(len(self.response)).index_add_(0, group, weight * values)


def pool_tokens(targets: Targets) -> Pooling:
    """One item per response token, its log-probabilities summed over views with their weights (coupled-GRPO)."""
    tokens, group = torch.stack([targets.response, targets.position]).unique(dim=1, return_inverse=True)
    return Pooling(group, targets.weight, tokens[0])


def pool_responses(targets: Targets) -> Pooling:
    """One item per response: the weighted mean log-probability of its targets (UniGRPO)."""
    response, group = targets.response.unique(return_inverse=True)
    total = torch.zeros(len(response)).index_add_(0, group, targets.weight)
    return Pooling(group, targets.weight / total[group], response)


class PooledBatch(UpdateBatch, ABC):
    """An update whose loss is a function of items, each of which may stand in several packs.

    A pass without gradients finds the items' log-probabilities, from which follow the loss and its slope in each item.
    The slope is then the factor of the item's targets in a second pass, pack by pack. So memory is that of one pack and
    the gradient is exact, at the price of the first pass. A view's weights are in the items, not in the loss's scale,
    and the reduction counts responses where it would count views.
    """

    @staticmethod
    @abstractmethod
    def pool(targets: Targets) -> Pooling:
        """How targets become items."""

    def backward(self, items: Items) -> Scores:
        """Accumulate the gradient of the loss that ``items`` makes of the pooled batch."""
        pooling, scores = self.pool(self.targets), self.evaluate()
        batch = self._pooled(pooling, scores)
        leaf = batch.logps.requires_grad_()
        loss = (batch.scale * items(replace(batch, logps=leaf))).sum()
        (slope,) = torch.autograd.grad(loss, leaf)
        factor = slope[pooling.group.to(slope.device)] * pooling.weight.to(slope.device)
        backward_linear(self._lm, self._packs, self.targets, factor)
        return replace(scores, loss=float(loss.detach()))

    def batch(self, scores: Scores) -> TargetBatch:
        """All items as one batch, on the CPU and without gradients."""
        return self._pooled(self.pool(self.targets), Scores(scores.logps.cpu(), scores.entropy.cpu()))

    def _pooled(self, pooling: Pooling, scores: Scores) -> TargetBatch:
        logps, device = pooling.sums(scores.logps), scores.logps.device
        old, row = self._columns.old_logps, pooling.response
        scale = target_scale(self._reduction, row, torch.ones(len(row)), self._sizes)
        factor = kl_factor(self._reduction, self._kl_reduction or self._reduction, row, self._sizes)
        rest = [column.to(device) for column in (self._advantages[row], scale, row, row, factor)]
        return TargetBatch(logps, logps.clone() if old is None else pooling.sums(old.to(device)), *rest)


class TokenBatch(PooledBatch):
    """One importance ratio per response token."""

    pool = staticmethod(pool_tokens)


class ResponseBatch(PooledBatch):
    """One importance ratio per response."""

    pool = staticmethod(pool_responses)


LEVELS: dict[str, type[UpdateBatch]] = {"target": UpdateBatch, "token": TokenBatch, "sequence": ResponseBatch}
"""Kinds of batches by the value of the option ``importance_level``."""
