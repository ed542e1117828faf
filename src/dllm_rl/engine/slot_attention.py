"""Attention of ragged rows of tokens to the slot cache: the attention rule where every row is one sequence.

Letters: T tokens of a pass, n rows, w tokens per row at most, L cached positions, H query heads, G key/value heads,
r = H / G, D head size.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.engine.slot_cache import SlotCache


class SlotAttention:
    """One pass over tokens of many sequences.

    A token sees every position of its row before a border of its own: for blocks the end of its block, which is the
    attention rule for clean tokens of one document per row (``attention/rule.py``); for canvases the end of the canvas, or
    of the window. Keys and values are written into the cache first, so that nothing is copied to attend to cache and
    tokens together; heads that share keys are folded into the queries, so that keys are not repeated.
    """

    def __init__(self, cache: SlotCache, row: Tensor, position: Tensor, place: Tensor, shape: tuple[int, int],
                 border: Tensor, length: int, first: int = 0) -> None:
        """Prepare a pass.

        Args:
            cache: written by the pass.
            row: (T,) int64 slot of each token.
            position: (T,) int64 position of each token in its sequence.
            place: (T,) int64 place of each token in a table of ``shape``, row by row.
            shape: (n, w).
            border: (T,) int64; a token sees the positions below it.
            length: at least the largest border.
            first: slot of the table's first row; the others follow.
        """
        self._cache, self._row, self._position, self._place, self._shape = cache, row, position, place, shape
        self._slots, self._length = slice(first, first + shape[0]), length
        # Empty places of the table see one position, so that no query is without keys.
        borders = torch.ones(shape[0] * shape[1], dtype=torch.long, device=row.device)
        borders[place] = border
        hidden = torch.arange(length, device=row.device) >= borders[:, None]
        self._mask = torch.zeros(hidden.shape, device=row.device).masked_fill_(hidden, -torch.inf).view(*shape, length)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``; one row of T tokens."""
        (num, width), heads, size = self._shape, query.shape[1], query.shape[3]
        keys, values = self._cache.write(layer, key[0].transpose(0, 1), value[0].transpose(0, 1), self._row, self._position)
        groups = keys.shape[1]
        table = query.new_zeros(num * width, heads, size)
        table[self._place] = query[0].transpose(0, 1)
        folded = table.view(num, width, groups, heads // groups, size).permute(0, 2, 3, 1, 4).reshape(
            num, groups, heads // groups * width, size)
        mask = self._mask.to(query.dtype).repeat(1, heads // groups, 1)[:, None]
        out = scaled_dot_product_attention(folded, keys[self._slots, :, :self._length],
                                           values[self._slots, :, :self._length], attn_mask=mask, scale=scale)
        flat = out.view(num, groups, heads // groups, width, size).permute(0, 3, 1, 2, 4).reshape(num * width, heads, size)
        return flat[self._place].transpose(0, 1)[None]
