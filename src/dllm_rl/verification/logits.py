"""Checks of the ``logits`` section: whole sequences through the model."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.families import LanguageModel
from dllm_rl.families.backbone import RouterRecorder
from dllm_rl.verification.check import LOGIT_TOLERANCE, Check, close
from dllm_rl.verification.reference import Entry

FORMS = {"causal_logits": lambda entry: 1, "block_causal_logits": lambda entry: entry.fields["block_length"],
         "logits_mask_ignored": lambda entry: "full"}
"""Further arrays of the same ids, and the block size they were made with; their masks count all tokens as real."""


def check_logits(entry: Entry, lm: LanguageModel) -> list[Check]:
    """States, raw logits and router logits of every form an entry stores; compared at real tokens."""
    return list(_checks(entry, lm))


def _checks(entry: Entry, lm: LanguageModel) -> Iterator[Check]:
    ids = entry.array("input_ids")
    real = torch.ones_like(ids, dtype=torch.bool)
    for row, pads in enumerate(entry.fields["pads"] or []):
        real[row, :pads] = False
    others = [name for name in FORMS if entry.fields.get(name)]
    block = None if "block_causal_logits" in others else entry.fields.get("block_length")
    with RouterRecorder(lm.backbone) as routers:
        hidden = _states(lm, ids, real, block or "full")
    yield _compared("logits", lm.head(hidden), entry.array("logits"), real)
    states, routed = entry.optional_array("final_hidden"), entry.stored(f"logits/{entry.name}/router_logits")
    if states is not None:
        yield _compared("final_hidden", hidden, states, real)
    if routed is not None:
        yield _compared("router_logits", torch.stack(routers.logits, 1), routed.transpose(0, 1), real.flatten())
    for name in others:
        everywhere = torch.ones_like(real)
        found = lm.head(_states(lm, ids, everywhere, FORMS[name](entry)))
        yield _compared(name, found, entry.array(name), everywhere)
    predictions = _shifted(entry.array("logits"), lm, real)
    yield _compared("predictions", lm.logits(ids, real, block or "full"), predictions, real)


@torch.no_grad()
def _states(lm: LanguageModel, ids: Tensor, real: Tensor, block: Any) -> Tensor:  # noqa: ANN401 - a size or "full"
    layout = lm.row_layout(real, block)
    return lm.hidden(ids, layout.position, attention_for(layout))


def _shifted(logits: Tensor, lm: LanguageModel, real: Tensor) -> Tensor:
    """Stored raw logits as predictions: position i takes those at i - shift, a row's first token its own."""
    source = torch.maximum(torch.arange(logits.shape[1]) - lm.family.logit_shift, real.long().argmax(1, keepdim=True))
    return logits.gather(1, source[..., None].expand_as(logits))


def _compared(name: str, ours: Tensor, stored: Tensor, where: Tensor) -> Check:
    return close(name, ours.detach()[where], stored[where], LOGIT_TOLERANCE)
