"""The readable key/value cache of block decoding, and attention of a block to it.

Letters: B rows, H query heads, G key/value heads, D head size, U cached slots per row, N tokens of a pass.
"""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.attention import AttentionContext, may_attend
from dllm_rl.records import Layout


class BlockCache:
    """Keys and values of the finished blocks of B rows, one preallocated tensor of each per layer.

    All rows append to the same slots. Where a row has nothing to keep (its prompt is shorter than another's) the
    layout makes the slot a document of its own, which nobody sees. A pass writes behind the committed slots and the
    next pass overwrites that, until ``commit`` keeps it; so nothing is copied to attend to cache and block together.
    """

    def __init__(self, layout: Layout, capacity: int) -> None:
        """An empty cache.

        Args:
            layout: (B, 0), of the slots committed so far.
            capacity: largest number of slots per row, those of an uncommitted pass included.
        """
        self.layout = layout
        self._capacity = capacity
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, G, N, D) keys and values behind the committed ones; return views of both, (B, G, U + N, D)."""
        return self._store(self._keys, layer, key), self._store(self._values, layer, value)

    def _store(self, store: dict[int, Tensor], layer: int, new: Tensor) -> Tensor:
        if layer not in store:
            rows, heads, _, size = new.shape
            # Zeros, because a hidden slot has weight 0 and 0 times an uninitialised NaN would still be NaN.
            store[layer] = new.new_zeros(rows, heads, self._capacity, size)
        start = self.layout.doc.shape[1]
        store[layer][:, :, start:start + new.shape[2]] = new
        return store[layer][:, :, :start + new.shape[2]]

    def commit(self, layout: Layout) -> None:
        """Keep what the last pass stored, whose tokens have this (B, N) layout."""
        self.layout = Layout.join([self.layout, layout])

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but ``rows``, int64 indices."""
        self.layout = self.layout.index(rows)
        for store in (self._keys, self._values):
            for layer in store:
                store[layer] = store[layer][rows]


class CachedAttention:
    """Attention of a block to the finished blocks before it and to itself.

    Every token sees at least itself, so no query is without keys.
    """

    def __init__(self, cache: BlockCache, layout: Layout) -> None:
        """Build the (B, N, U + N) mask of a block with this (B, N) layout."""
        self._cache = cache
        self._mask = may_attend(layout, Layout.join([cache.layout, layout]))[:, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        keys, values = self._cache.append(layer, key, value)
        return scaled_dot_product_attention(query, keys, values, attn_mask=self._mask, scale=scale,
                                            enable_gqa=query.shape[1] != key.shape[1])


class RecordedAttention:
    """Any other form of the rule, with keys and values stored on the way: the prefill."""

    def __init__(self, cache: BlockCache, inner: AttentionContext) -> None:
        """Attend as ``inner`` does and fill ``cache``."""
        self._cache = cache
        self._inner = inner

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        self._cache.append(layer, key, value)
        return self._inner.attend(layer, query, key, value, scale)
