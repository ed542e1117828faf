"""Checks of the ``training`` section under upstream's rules: block models here, full attention in ``canvas_training``.

Our log-probabilities and gradients come from packed shared-clean documents, the stored ones from one row per view.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dllm_rl.attention import DenseAttention, may_attend
from dllm_rl.config.options import MaskViewOptions, ReductionOptions
from dllm_rl.families import LanguageModel
from dllm_rl.records import Sample, View, ViewContext
from dllm_rl.verification.canvas_training import check_canvas_rl, check_canvas_sft
from dllm_rl.verification.check import LOGIT_TOLERANCE, Check, close, exact
from dllm_rl.verification.packed_loss import PackedLoss, StoredLogProbs, check_rl, check_sft, upstream_config
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


def _check_rl(entry: Entry, rows: Rows, loss: PackedLoss) -> Iterator[Check]:
    advantages = torch.tensor(entry.fields["rewards"])[rows.samples % len(entry.fields["rewards"])]
    yield close("row_rewards", advantages, torch.tensor(entry.fields["row_rewards"]), 0.0)
    stored = StoredLogProbs(entry.array("logp")[rows.targets], entry.array("old_logp")[rows.targets],
                            advantages[loss.targets.row])
    yield from check_rl(upstream_config(entry), loss, stored)


def _check_block(entry: Entry, lm: LanguageModel) -> Iterator[Check]:
    fields, method = entry.fields, entry.fields["config"]["method"]
    if method not in METHODS:
        raise ValueError(f"{entry.section}/{entry.name}: unknown method {method!r}; known: {', '.join(METHODS)}")
    step_maps = entry.optional_array("step_maps_full")
    if method == "trace":      # the entry of trace SFT uses the maps of the entry ``trace``
        step_maps = entry.arrays["train/trace/step_maps"]
    samples = padded_samples(entry.array("input_ids"), fields["L0"], fields["pad_id"], step_maps)
    samples, views = METHODS[method](entry, samples)
    rows = padded_rows(samples, views, fields["L0"], fields["mask_id"], fields["pad_id"])
    loss = PackedLoss(entry, lm, samples, views)
    yield from _check_rows(entry, rows)
    yield from _check_logits(entry, rows, lm)
    yield from (_check_rl(entry, rows, loss) if fields["kind"] == "rl_block" else check_sft(loss, ReductionOptions()))


KINDS = {"rl_block": _check_block, "sft_block": _check_block, "rl": check_canvas_rl, "sft": check_canvas_sft}
"""Checks by the kind of an entry."""


def check_training(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Everything a ``training`` entry stores.

    Raises:
        ValueError: an entry of another kind or method.
    """
    kind = entry.fields["kind"]
    if kind not in KINDS:
        raise ValueError(f"{entry.section}/{entry.name}: unknown kind {kind!r}; known: {', '.join(KINDS)}")
    return list(KINDS[kind](entry, lm))
