"""The flex form: the rule as a FlexAttention block mask. For training on CUDA; forward only elsewhere."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from dllm_rl.attention.rule import attends
from dllm_rl.records.layout import Layout


def block_mask(layout: Layout) -> BlockMask:
    """The block-sparse mask of a (B, N) layout."""
    rows, tokens = layout.doc.shape

    def mask_mod(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return attends(layout.index((row, query)), layout.index((row, key)))

    return create_block_mask(mask_mod, rows, None, tokens, tokens, device=str(layout.doc.device))


@cache
def _compiled() -> Any:  # noqa: ANN401 - a compiled function keeps no useful signature
    return torch.compile(flex_attention)


class FlexAttention:
    """Attention among the tokens of one batch through FlexAttention: compiled on CUDA, plain elsewhere."""

    def __init__(self, layout: Layout) -> None:
        """Build the block mask of a (B, N) layout."""
        self._mask = block_mask(layout)
        self._run = _compiled() if layout.doc.is_cuda else flex_attention

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        return self._run(query, key, value, block_mask=self._mask, scale=scale,
                         enable_gqa=query.shape[1] != key.shape[1])
