"""The estimators: the gradient that a training method makes of every rollout, by the library's own code.

Letters: T rollouts, M targets, D weights, N tokens of a pack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from benchmarks.exact.toy import ToyNetwork
from torch import Tensor

from dllm_rl.config.options import ActionViewOptions
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import Pack, Targets, build_packs
from dllm_rl.likelihood.scoring import decoding_log_probs
from dllm_rl.records import Rollout, TargetBatch
from dllm_rl.registry import POLICY_LOSSES, VIEWS
from dllm_rl.views import build_views

MAX_TOKENS = 384
"""Of a pack: as long as a row is computed densely."""


NUM_VIEW_DRAWS = 2
"""Draws of random views of every rollout."""


@dataclass(frozen=True)
class Laid:
    """Rollouts as views of one kind, laid out for the model.

    Attributes:
        packs: rows of tokens.
        targets: all of their targets.
        num_views: (T,) float64 forward passes that each rollout costs.
    """

    packs: list[Pack]
    targets: Targets
    num_views: Tensor


def lay_out(lm: LanguageModel, view: str, rollouts: Sequence[Rollout], seed: int) -> Laid:
    """Views of all rollouts with the options' defaults, random ones drawn anew for every rollout and seed."""
    views = build_views(view, rollouts, seed=seed, block_size="full" if lm.block_size is None else None)
    packs, targets = build_packs(rollouts, views, lm.mask_token_id, lm.block_size, MAX_TOKENS, lm.family.logit_shift)
    return Laid(packs, targets, torch.tensor([len(own) for own in views], dtype=torch.float64))


def loss_items(name: str) -> Callable[[TargetBatch], Tensor]:
    """A policy loss with the defaults of its options."""
    loss, options = POLICY_LOSSES.load(name), POLICY_LOSSES.options(name)()
    return lambda batch: loss(batch, options)


def rollout_gradients(lm: LanguageModel, laid: Laid, advantages: Tensor, items: Callable[[TargetBatch], Tensor]) -> Tensor:
    """Minus the gradient of every rollout's loss, on policy: (T, D) float64.

    The loss is the sum over targets, each with its view's weight; a divisor that all targets have in common is left out.
    Rows of different rollouts share no token, so that one backward pass tells them apart at the logits.
    """
    network = lm.backbone
    assert isinstance(network, ToyNetwork)
    num_weights = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    found = torch.zeros(len(advantages), num_weights, dtype=torch.float64)
    for pack in laid.packs:
        network.tape.clear()
        logps = decoding_log_probs(lm, pack, laid.targets)
        targets, own = laid.targets, pack.targets
        batch = TargetBatch(logps, logps.detach(), advantages[targets.response[own]].float(), targets.weight[own],
                            targets.response[own], targets.row[own])
        (batch.scale * items(batch)).sum().backward()
        [(features, place, logits)] = network.tape
        assert logits.grad is not None
        rows, response = pack.rows.unique(), torch.empty(len(pack.ids), dtype=torch.long)
        response[pack.rows] = targets.response[own]
        upstream = logits.grad.flatten(0, 1)[rows]
        found.index_add_(0, response[rows], -network.row_gradients(features[rows], place[rows], upstream))
        network.zero_grad()
    return found


def needs_discards(view: str) -> bool:
    """Whether a kind of views scores what was thrown away, so that records have to tell it apart."""
    options = VIEWS.options(view)
    return issubclass(options, ActionViewOptions) and options.needs_discards


def draws_of(view: str, rollouts: Sequence[Rollout], lm: LanguageModel) -> int:
    """How often views are drawn to average over their own chance: once if they have none."""
    blocks: Literal["full"] | None = "full" if lm.block_size is None else None
    first, second = ([own for views in build_views(view, rollouts, seed=seed, block_size=blocks) for own in views]
                     for seed in (0, 1))
    equal = len(first) == len(second) and all(torch.equal(a.masked, b.masked) for a, b in zip(first, second, strict=True))
    return 1 if equal else NUM_VIEW_DRAWS
