"""Which form of the rule a batch is computed in."""

from dllm_rl.attention.chunked import ChunkedAttention
from dllm_rl.attention.context import AttentionContext
from dllm_rl.attention.dense import DenseAttention
from dllm_rl.attention.flex import FlexAttention
from dllm_rl.attention.open import OpenAttention, is_open
from dllm_rl.records.layout import Layout

SHORT = 384
"""Rows up to this many tokens are computed densely: below it the chunked form gains nothing on two cores."""


def attention_for(layout: Layout) -> AttentionContext:
    """The fastest form for a (B, N) layout: open rows without a mask; of others short ones dense, else flex or chunked."""
    if is_open(layout):
        return OpenAttention()
    if layout.doc.shape[-1] <= SHORT:
        return DenseAttention(layout)
    return FlexAttention(layout) if layout.doc.is_cuda else ChunkedAttention(layout)
