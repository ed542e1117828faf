"""A cache of a whole canvas whose block is written over: the dual cache of Fast-dLLM (SPEC 1.6).

Letters: B rows, H query heads, G key/value heads, D head size, N canvas positions, w window positions.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from dllm_rl.attention import AttentionContext, may_attend
from dllm_rl.records import Layout

NOBODY = -2
"""Document of window positions that belong to no row, and of the slot behind the canvas where they are written."""


class WholeCache:
    """Keys and values of every position of a canvas, and one slot more that nobody sees: per layer (B, G, N + 1, D)."""

    def __init__(self, layout: Layout, inner: AttentionContext) -> None:
        """An empty cache of a (B, N) layout, filled by a pass in which ``inner`` attends."""
        slot = layout.index((slice(None), slice(0, 1)))
        hidden = Layout(slot.position, torch.full_like(slot.doc, NOBODY), slot.parent, slot.view, slot.block)
        self.layout = Layout.join([layout, hidden])
        self._inner = inner
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``: the pass that fills the cache."""
        self.keys[layer], self.values[layer] = pad(key, (0, 0, 0, 1)), pad(value, (0, 0, 0, 1))
        return self._inner.attend(layer, query, key, value, scale)


class OverwritingAttention:
    """Attention of a window to the whole canvas, in which its own keys and values replace the older ones for good."""

    def __init__(self, cache: WholeCache, layout: Layout) -> None:
        """Build the (B, w, N + 1) mask of a window with this (B, w) layout, whose positions index the canvas."""
        self._cache = cache
        self._place = torch.where(layout.doc == NOBODY, cache.layout.doc.shape[1] - 1, layout.position)
        self._mask = may_attend(layout, cache.layout)[:, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        place = self._place[:, None, :, None].expand_as(key)
        keys = self._cache.keys[layer].scatter_(2, place, key)
        values = self._cache.values[layer].scatter_(2, place, value)
        return scaled_dot_product_attention(query, keys, values, attn_mask=self._mask, scale=scale,
                                            enable_gqa=query.shape[1] != key.shape[1])
