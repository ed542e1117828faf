"""Checks of the ``logits`` section: whole sequences through the model."""

import torch

from dllm_rl.families import LanguageModel
from dllm_rl.verification.check import LOGIT_TOLERANCE, Check, close
from dllm_rl.verification.reference import Entry


def check_logits(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Full and block-causal logits, with left pads where the entry has them; compared at real tokens."""
    ids = entry.array("input_ids")
    real = torch.ones_like(ids)
    for row, pads in enumerate(entry.fields["pads"] or []):
        real[row, :pads] = 0
    with torch.no_grad():
        ours = lm.logits(ids, real, entry.fields["block_length"] or "full")
    where = real.bool()
    return [close("logits", ours[where], entry.array("logits")[where], LOGIT_TOLERANCE)]
