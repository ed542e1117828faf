"""Checks of the ``training`` section for block models: rows, log-probabilities, losses, gradients under upstream's rules.

Our log-probabilities and gradients come from packed shared-clean documents, the stored ones from one row per view.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dllm_rl.attention import DenseAttention, may_attend
from dllm_rl.config.options import MaskViewOptions, ReductionOptions, TokenClipOptions
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import build_packs, pack_log_probs
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.objectives.reduction import BatchSizes, target_scale
from dllm_rl.records import Sample, TargetBatch, View, ViewContext
from dllm_rl.registry import KL_TERMS
from dllm_rl.verification.check import LOGIT_TOLERANCE, LOSS_TOLERANCE, Check, close, exact, gradient_norms
from dllm_rl.verification.reference import Entry
from dllm_rl.verification.rows import Rows, padded_rows, padded_samples
from dllm_rl.views import build_views, view_of_mask

Batches = tuple[list[Sample], list[list[View]]]


def _token_draw(block: int, lower: float, upper: float) -> Tensor:
    """(block,) mask in upstream's order of draws for block models: u, then the probabilities (SPEC 4.2)."""
    uniform = torch.rand(block)
    return uniform <= torch.empty(block).uniform_(lower, upper)


def _row_draw(length: int, lower: float, upper: float) -> Tensor:
    """(length,) mask in upstream's order of draws for semi-AR: probabilities, then u (SPEC 5.2)."""
    probability = torch.empty(length).uniform_(lower, upper)
    return torch.rand(length) <= probability


def _block_draws(length: int, block: int, lower: float, upper: float) -> Tensor:
    return torch.cat([_token_draw(min(block, length - start), lower, upper) for start in range(0, length, block)])


def _trace(entry: Entry, samples: list[Sample]) -> Batches:
    config = entry.fields["config"]
    return samples, build_views("trace", samples, block_size=config["block_size"], pad_token_id=entry.fields["pad_id"],
                                shrink=config["shrink"], post_num=config["post_num"], grid="response")


def _masks(entry: Entry, samples: list[Sample], draw: Callable[[int], Tensor], complement: bool) -> Batches:
    """Views of masks drawn for all responses first; complements follow behind all of them, as upstream orders rows."""
    config = entry.fields["config"]
    options = MaskViewOptions(post_num=config["post_num"], grid="response")
    context = ViewContext(block_size=config["block_size"], seed=0, pad_token_id=entry.fields["pad_id"])
    torch.manual_seed(entry.fields["seed"])
    masks = [draw(len(sample.response_ids)) for sample in samples]
    all_samples, all_masks = list(samples), list(masks)
    if complement:
        all_samples, all_masks = samples + samples, masks + [~mask for mask in masks]
    views = [view_of_mask(sample, mask, options, context) for sample, mask in zip(all_samples, all_masks, strict=True)]
    return all_samples, [[view] if bool(view.target.any()) else [] for view in views]


def _random(entry: Entry, samples: list[Sample]) -> Batches:
    config = entry.fields["config"]
    return _masks(entry, samples, lambda length: _block_draws(length, config["block_size"], config["lower_p"],
                                                              config["upper_p"]), config["method"] == "coupled")


def _semi_ar(entry: Entry, samples: list[Sample]) -> Batches:
    config = entry.fields["config"]
    return _masks(entry, samples, lambda length: _row_draw(length, config["lower_p"], config["upper_p"]), False)


METHODS = {"TraceRL": _trace, "trace": _trace, "random_masking": _random, "coupled": _random, "semi-ar": _semi_ar}


def _check_rows(entry: Entry, rows: Rows) -> Iterator[Check]:
    yield exact("extended_input_ids", rows.extended_ids, entry.array("extended_input_ids"))
    yield exact("p_mask", rows.targets, entry.array("p_mask"))
    yield exact("labels", rows.labels, entry.array("labels"))
    yield exact("position_ids", rows.layout.position, entry.array("position_ids"))
    mask = entry.optional_array("attention_mask")
    if mask is not None:
        where = rows.real()
        yield exact("attention_mask", may_attend(rows.layout, rows.layout)[where], mask[:, 0][where])


def _check_logits(entry: Entry, rows: Rows, lm: LanguageModel) -> Iterator[Check]:
    stored = entry.optional_array("logits")
    if stored is not None:
        num_prompt, num_response = entry.fields["L0"], entry.fields["L1"]
        kept = torch.cat([torch.arange(num_prompt), num_prompt + num_response + torch.arange(num_response)])
        with torch.no_grad():
            hidden = lm.hidden(rows.extended_ids, rows.layout.position, DenseAttention(rows.layout))
            ours = lm.head(hidden[:, kept])
        where = rows.real()[:, kept]
        yield close("logits", ours[where], stored[where], LOGIT_TOLERANCE)


class _PackedLoss:
    """Losses of an entry through packed documents."""

    def __init__(self, entry: Entry, lm: LanguageModel, samples: list[Sample], views: list[list[View]]) -> None:
        self._entry, self._lm = entry, lm
        self._packs, self.targets = build_packs(samples, views, lm.mask_token_id, lm.block_size)
        sizes = BatchSizes(padded_length=entry.fields["L1"], answer_tokens=0)
        self._scale = target_scale(ReductionOptions(divisor="padded_length"), self.targets.row, self.targets.weight,
                                   sizes)

    def log_probs(self) -> Tensor:
        """(M,) log-probabilities at all targets."""
        values = torch.zeros(len(self.targets.labels))
        for pack in self._packs:
            found = pack_log_probs(self._lm, pack, self.targets)
            values = values.index_copy(0, pack.targets, found)
        return values

    def checks(self, name: str, old: Tensor | None, advantages: Tensor, items: Callable[[TargetBatch], Tensor],
               suffix: str) -> Iterator[Check]:
        """Loss and gradient norms of ``items``; ``old`` = None takes the model's own log-probabilities."""
        self._lm.backbone.zero_grad()
        logps = self.log_probs()
        batch = TargetBatch(logps, logps.detach() if old is None else old, advantages, self._scale,
                            self.targets.response, self.targets.row)
        loss = (batch.scale * items(batch)).sum()
        loss.backward()
        stored = torch.tensor(self._entry.fields[f"loss{suffix}"])
        yield close(f"loss {name}", loss.detach(), stored, LOSS_TOLERANCE)
        yield gradient_norms(f"grad_norms {name}", self._lm.backbone, self._entry.fields[f"grad_norms{suffix}"])


def _check_rl(entry: Entry, rows: Rows, loss: _PackedLoss) -> Iterator[Check]:
    config = entry.fields["config"]
    kl = KL_TERMS.load("k3" if config["use_kl_estimator_k3"] else "k1")
    options = TokenClipOptions(eps=config["eps"])

    def items(batch: TargetBatch) -> Tensor:
        return token_clip(batch, options) + config["beta"] * kl(batch)

    row_rewards = torch.tensor(entry.fields["rewards"])[rows.samples % len(entry.fields["rewards"])]
    yield close("row_rewards", row_rewards, torch.tensor(entry.fields["row_rewards"]), 0.0)
    with torch.no_grad():
        yield close("logp", loss.log_probs(), entry.array("logp")[rows.targets], LOGIT_TOLERANCE)
    advantages = row_rewards[loss.targets.row]
    yield from loss.checks("on policy", None, advantages, items, "_on_policy")
    yield from loss.checks("old logp", entry.array("old_logp")[rows.targets], advantages, items, "_old_logp")


def check_training(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Everything an ``rl_block`` or ``sft_block`` entry stores.

    Raises:
        ValueError: an entry of another kind or method.
    """
    fields, config = entry.fields, entry.fields["config"]
    if fields["kind"] not in ("rl_block", "sft_block") or config["method"] not in METHODS:
        raise ValueError(f"{entry.section}/{entry.name}: unknown kind {fields['kind']!r}, method {config['method']!r}")
    step_maps = entry.optional_array("step_maps_full")
    if config["method"] == "trace":      # the entry of trace SFT uses the maps of the entry ``trace``
        step_maps = entry.arrays["train/trace/step_maps"]
    samples = padded_samples(entry.array("input_ids"), fields["L0"], fields["pad_id"], step_maps)
    samples, views = METHODS[config["method"]](entry, samples)
    rows = padded_rows(samples, views, fields["L0"], fields["mask_id"], fields["pad_id"])
    loss = _PackedLoss(entry, lm, samples, views)
    checks = [*_check_rows(entry, rows), *_check_logits(entry, rows, lm)]
    if fields["kind"] == "rl_block":
        return [*checks, *_check_rl(entry, rows, loss)]
    return [*checks, *loss.checks("sft", None, torch.ones(len(loss.targets.labels)), cross_entropy, "")]
