"""Checks of the ``block_diffusion_training`` section: SDAR's own fine-tuning forward over packed documents."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dllm_rl.attention import may_attend
from dllm_rl.config.options import MaskViewOptions, ReductionOptions
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import build_packs
from dllm_rl.likelihood.scoring import pack_states
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.reduction import BatchSizes, target_scale
from dllm_rl.records import Layout, Sample, TargetBatch, View, ViewContext
from dllm_rl.records.layout import NO_PARENT
from dllm_rl.verification.check import LOGIT_TOLERANCE, LOSS_TOLERANCE, Check, close, exact, gradient_norms
from dllm_rl.verification.reference import Entry
from dllm_rl.views import view_of_mask

IGNORED = -100
"""Label of a token that is not an answer token."""


def _draw_noise(labels: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """(n,) mask and (n,) probability of one packed row, drawn in the original's order (SPEC 5.3)."""
    while True:
        ratio = (1 - 1e-3) * torch.rand(len(lengths)) + 1e-3
        probability = ratio.repeat_interleave(torch.tensor(lengths))
        masked = (torch.rand(1, len(labels))[0] < probability) & (labels != IGNORED)
        if bool(masked.any()):
            return masked, probability


def _documents(entry: Entry) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids and labels of every document, row by row."""
    for row, lengths in enumerate(entry.fields["num_tokens"]):
        yield from zip(entry.array("input_ids")[row].split(lengths), entry.array("labels")[row].split(lengths),
                       strict=True)


def _sample(ids: Tensor, labels: Tensor) -> Sample:
    """The document as prompt (up to the first answer token) and response."""
    answer = labels != IGNORED
    start = int(answer.long().argmax()) if bool(answer.any()) else len(ids)
    return Sample(ids[:start].tolist(), ids[start:].tolist())


def _concat_layout(entry: Entry, block_size: int) -> Layout:
    """(B, 2n) layout of ``[noisy d | clean d]`` per document."""
    rows = []
    for lengths in entry.fields["num_tokens"]:
        parts = []
        for number, length in enumerate(lengths):
            place = torch.arange(length)
            parts += [Layout(place, torch.full_like(place, number), torch.full_like(place, NO_PARENT),
                             torch.full_like(place, view), place // block_size) for view in (1, 0)]
        rows.append(Layout.join(parts))
    return Layout(*(torch.stack(column) for column in zip(*(row.tensors() for row in rows), strict=True)))


def _concat_ids(entry: Entry, noisy_ids: Tensor) -> Tensor:
    rows = []
    for row, lengths in enumerate(entry.fields["num_tokens"]):
        pairs = zip(noisy_ids[row].split(lengths), entry.array("input_ids")[row].split(lengths), strict=True)
        rows.append(torch.cat([part for pair in pairs for part in pair]))
    return torch.stack(rows)


def check_block_training(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Draws, layout, logits at masked tokens, loss and gradients."""
    labels, size = entry.array("labels"), entry.fields["block_size"]
    torch.manual_seed(entry.fields["seed"])
    drawn = [_draw_noise(labels[row], lengths) for row, lengths in enumerate(entry.fields["num_tokens"])]
    masked, probability = (torch.stack(column) for column in zip(*drawn, strict=True))
    noisy_ids = torch.where(masked, entry.fields["mask_id"], entry.array("input_ids"))
    layout = _concat_layout(entry, size)
    checks = [
        exact("masked", masked, entry.array("masked")),
        exact("noisy_ids", noisy_ids, entry.array("noisy_ids")),
        close("p_mask", probability[masked], entry.array("p_mask"), 0.0),
        exact("concat_ids", _concat_ids(entry, noisy_ids), entry.array("concat_ids")),
        exact("concat_position_ids", layout.position, entry.array("concat_position_ids")),
        exact("concat_attention_mask", may_attend(layout, layout), entry.array("concat_attention_mask")),
    ]
    return [*checks, *_check_loss(entry, lm, masked, probability)]


def _views(entry: Entry, masked: Tensor, probability: Tensor) -> tuple[list[Sample], list[list[View]]]:
    samples, views, options = [], [], MaskViewOptions()
    context = ViewContext(block_size=entry.fields["block_size"], seed=0, pad_token_id=None)
    lengths = [length for row in entry.fields["num_tokens"] for length in row]
    noise = zip(masked.flatten().split(lengths), probability.flatten().split(lengths), strict=True)
    for (ids, labels), (mask, chance) in zip(_documents(entry), noise, strict=True):
        sample = _sample(ids, labels)
        start = len(sample.prompt_ids)
        view = view_of_mask(sample, mask[start:], options, context, weight=1 / chance[start:])
        samples.append(sample)
        views.append([view] if bool(view.target.any()) else [])
    return samples, views


def _check_loss(entry: Entry, lm: LanguageModel, masked: Tensor, probability: Tensor) -> Iterator[Check]:
    samples, views = _views(entry, masked, probability)
    [pack], targets = build_packs(samples, views, lm.mask_token_id)
    lm.backbone.zero_grad()
    logits = lm.head(pack_states(lm, pack))
    order = pack.targets.argsort()
    yield close("logits_at_masked", logits[order], entry.array("logits_at_masked"), LOGIT_TOLERANCE)
    answers = int((entry.array("labels") != IGNORED).sum())
    scale = target_scale(ReductionOptions(divisor="answer_tokens"), targets.row, targets.weight,
                         BatchSizes(padded_length=0, answer_tokens=answers))
    logps = logits.log_softmax(-1)[order, targets.labels]
    batch = TargetBatch(logps, logps.detach(), torch.ones_like(logps), scale, targets.response, targets.row)
    loss = (batch.scale * cross_entropy(batch)).sum()
    loss.backward()
    yield close("loss", loss.detach(), torch.tensor(entry.fields["loss"]), LOSS_TOLERANCE)
    yield gradient_norms("grad_norms", lm, entry.fields["grad_norms"])
