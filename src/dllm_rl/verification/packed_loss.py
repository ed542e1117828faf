"""Losses of a ``training`` entry through our packed documents, against those of upstream's rows.

Letters: M targets, R rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_rl.config.loading import parse_config
from dllm_rl.config.options import ReductionOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import build_packs, pack_log_probs
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.reduction import BatchSizes, kl_factor, target_scale
from dllm_rl.records import Rollout, Sample, TargetBatch, View
from dllm_rl.registry import KL_TERMS, POLICY_LOSSES
from dllm_rl.verification.check import LOGIT_TOLERANCE, LOSS_TOLERANCE, Check, close, gradient_norms
from dllm_rl.verification.reference import Entry

METHODS = {"TraceRL": "tracerl", "random_masking": "random_masking", "coupled": "coupled"}
"""Upstream's names of RL methods, and our presets."""

EMBEDDING = "model.embed_tokens.weight"
"""The input embedding's name in every backbone."""

Items = Callable[[TargetBatch], Tensor]
"""A batch of targets to the loss of each, unreduced."""


@dataclass(frozen=True)
class StoredLogProbs:
    """An entry's log-probabilities at its targets, (M,) each, and the (M,) advantages."""

    logps: Tensor
    old_logps: Tensor
    advantages: Tensor


def upstream_config(entry: Entry, *presets: str) -> RlConfig:
    """The run that upstream made: its preset, the method's, ``presets`` on top, and the entry's own settings.

    Raises:
        ValueError: a method that is no preset.
    """
    config = entry.fields["config"]
    if config["method"] not in METHODS:
        raise ValueError(f"{entry.section}/{entry.name}: unknown method {config['method']!r}; known: {', '.join(METHODS)}")
    draws = {"lower_p": config["lower_p"], "upper_p": config["upper_p"]}
    own = {"shrink": config["shrink"]} if config["method"] == "TraceRL" else draws
    repeats = {name: config[name] for name in ("mask_times_per_sample",) if name in config and own is draws}
    return parse_config(RlConfig, {
        "compat": "upstream", "preset": [METHODS[config["method"]], *presets], "model": {"path": "."},
        "tasks": "arithmetic", "evaluation": {"tasks": "arithmetic"},
        "views": {"post_num": config["post_num"], **own, **repeats}, "policy_loss": {"eps": config["eps"]},
        "kl": "k3" if config["use_kl_estimator_k3"] else "k1", "beta": config["beta"]}, f"{entry.section}/{entry.name}")


class PackedLoss:
    """The targets of an entry's samples and views, scored through packed documents."""

    def __init__(self, entry: Entry, lm: LanguageModel, samples: list[Sample] | list[Rollout],
                 views: list[list[View]], *, trains_pad_row: bool = True) -> None:
        """Lay out everything in one pack; ``trains_pad_row`` false leaves the pad's embedding without gradient."""
        self._entry, self._lm, self._trains_pad_row = entry, lm, trains_pad_row
        self._packs, self.targets = build_packs(samples, views, lm.mask_token_id, lm.block_size,
                                                shift=lm.family.logit_shift)
        self._sizes = BatchSizes(padded_length=max(len(sample.response_ids) for sample in samples), answer_tokens=0)

    def log_probs(self) -> Tensor:
        """(M,) log-probabilities at all targets."""
        values = torch.zeros(len(self.targets.labels))
        for pack in self._packs:
            found = pack_log_probs(self._lm, pack, self.targets)
            values = values.index_copy(0, pack.targets, found)
        return values

    def batch(self, old_logps: Tensor, advantages: Tensor, reduction: ReductionOptions,
              kl_reduction: ReductionOptions | None = None) -> TargetBatch:
        """All targets as one batch that carries no gradients yet."""
        row, sizes = self.targets.row, self._sizes
        return TargetBatch(old_logps, old_logps, advantages,
                           target_scale(reduction, row, self.targets.weight, sizes), self.targets.response, row,
                           kl_factor(reduction, kl_reduction or reduction, row, sizes))

    def checks(self, name: str, items: Items, batch: TargetBatch, suffix: str) -> Iterator[Check]:
        """Loss and gradient norms; the batch's log-probabilities are replaced by ones with gradients."""
        self._lm.backbone.zero_grad()
        batch = replace(batch, logps=self.log_probs())
        loss = (batch.scale * items(batch)).sum()
        loss.backward()
        if not self._trains_pad_row:
            gradient = self._lm.backbone.get_parameter(EMBEDDING).grad
            assert gradient is not None
            gradient[self._entry.fields["pad_id"]] = 0
        stored = torch.tensor(self._entry.fields[f"loss{suffix}"])
        yield close(f"loss {name}", loss.detach(), stored, LOSS_TOLERANCE)
        yield gradient_norms(f"grad_norms {name}", self._lm, self._entry.fields[f"grad_norms{suffix}"])


def check_rl(config: RlConfig, loss: PackedLoss, stored: StoredLogProbs) -> Iterator[Check]:
    """Log-probabilities, and losses and gradients on policy and under the entry's made-up old log-probabilities."""
    policy_loss, kl = POLICY_LOSSES.load(config.policy_loss.name), KL_TERMS.load(config.kl.name)

    def items(batch: TargetBatch) -> Tensor:
        found: Tensor = policy_loss(batch, config.policy_loss.options) + config.beta * batch.kl_factor * kl(batch)
        return found

    with torch.no_grad():
        ours = loss.log_probs()
    yield close("logp", ours, stored.logps, LOGIT_TOLERANCE)
    for name, old, suffix in (("on policy", ours, "_on_policy"), ("old logp", stored.old_logps, "_old_logp")):
        batch = loss.batch(old, stored.advantages, config.reduction, config.kl_reduction)
        yield from loss.checks(name, items, batch, suffix)


def check_sft(loss: PackedLoss, reduction: ReductionOptions) -> Iterator[Check]:
    """Loss and gradients of fine-tuning."""
    ones = torch.ones(len(loss.targets.labels))
    yield from loss.checks("sft", cross_entropy, loss.batch(ones, ones, reduction), "")
