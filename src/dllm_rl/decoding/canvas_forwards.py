"""The forwards of one block of a canvas: whole ones, and what the two approximate caches leave to compute (SPEC 1.4, 1.6).

Letters: B rows, N canvas positions, w window positions, H hidden size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dllm_rl.attention import AttentionContext, attention_for
from dllm_rl.decoding.cache import BlockCache, CachedAttention, RecordedAttention
from dllm_rl.decoding.canvas_batch import CanvasBatch
from dllm_rl.decoding.whole_cache import NOBODY, OverwritingAttention, WholeCache
from dllm_rl.families import LanguageModel
from dllm_rl.records import Layout


@dataclass(frozen=True)
class States:
    """What a forward computed: (B, w, H) final states of the positions from ``begin`` (B,) int64 on.

    Example: ``States(torch.tensor([4]), torch.zeros(1, 2, 64))`` are the states of positions 4 and 5 of one row.
    """

    begin: Tensor
    hidden: Tensor


class BlockForwards(Protocol):
    """The forwards of a batch's current blocks, made as ``(lm, batch, horizon)`` when the blocks open."""

    def opening(self) -> States:
        """The first forward, of the whole canvas."""
        ...

    def further(self) -> States:
        """Any forward after it."""
        ...


def window_layout(batch: CanvasBatch, far: Tensor) -> Layout:
    """(B, w) layout of the places from each row's block on up to ``far`` (B,); shorter rows end in places of nobody.

    What belongs to nobody sees only its like, so that it sees something, and is at position 0.
    """
    place = batch.start[:, None] + torch.arange(int((far - batch.start).max()), device=far.device)
    real = place < far[:, None]
    zeros = torch.zeros_like(place)
    return Layout(torch.where(real, place, 0), torch.where(real, 0, NOBODY),
                  batch.canvas.layout.parent[:, :1].expand_as(place), zeros, zeros)


class WholeForwards:
    """cache=none: every forward is one of the whole canvas, which is exact."""

    def __init__(self, lm: LanguageModel, batch: CanvasBatch, horizon: int | None) -> None:
        """Prepare for the current blocks; ``horizon`` is for ``PrefixForwards``."""
        self._lm, self._batch, self._horizon = lm, batch, horizon
        self._whole = attention_for(batch.canvas.layout)

    def opening(self) -> States:
        """See ``BlockForwards``."""
        return self._run(self._whole)

    def further(self) -> States:
        """See ``BlockForwards``."""
        return self._run(self._whole)

    def _run(self, attention: AttentionContext) -> States:
        canvas = self._batch.canvas
        hidden = self._lm.hidden(canvas.ids, canvas.layout.position, attention)
        return States(torch.zeros_like(self._batch.start), hidden)


class WindowForwards(WholeForwards, ABC):
    """Further forwards are of a window that begins with the block, against kept keys and values of the opening."""

    def __init__(self, lm: LanguageModel, batch: CanvasBatch, horizon: int | None) -> None:
        """Prepare for the current blocks."""
        super().__init__(lm, batch, horizon)
        self._window: tuple[Layout, AttentionContext] | None = None

    def further(self) -> States:
        """See ``BlockForwards``."""
        if self._window is None:        # only now, because the opening's candidates may have shortened the blocks
            layout = window_layout(self._batch, self._far())
            self._window = layout, self._attention(layout)
        layout, attention = self._window
        hidden = self._lm.hidden(self._batch.canvas.ids.gather(1, layout.position), layout.position, attention)
        return States(self._batch.start, hidden)

    @abstractmethod
    def _far(self) -> Tensor:
        """(B,) int64: exclusive ends of the windows."""

    @abstractmethod
    def _attention(self, layout: Layout) -> AttentionContext:
        """Attention of the window."""


class PrefixForwards(WindowForwards):
    """cache=prefix: what precedes the block is kept; the window reaches ``horizon`` tokens behind it, or to the end."""

    def __init__(self, lm: LanguageModel, batch: CanvasBatch, horizon: int | None) -> None:
        """Prepare for the current blocks."""
        super().__init__(lm, batch, horizon)
        layout, self._num_kept = batch.canvas.layout, int(batch.start.max())
        # First the whole canvas, then in its place what precedes the blocks and the window behind that.
        capacity = max(layout.doc.shape[1], self._num_kept + int((self._far() - batch.start).max()))
        self._kept = BlockCache(layout.index((slice(None), slice(0))), capacity)

    def opening(self) -> States:
        """See ``BlockForwards``."""
        states = self._run(RecordedAttention(self._kept, self._whole))
        before = self._batch.canvas.layout.index((slice(None), slice(0, self._num_kept)))
        doc = torch.where(before.position < self._batch.start[:, None], before.doc, before.position + 1)
        self._kept.commit(Layout(before.position, doc, before.parent, before.view, before.block))
        return states

    def _far(self) -> Tensor:
        batch = self._batch
        return batch.stop if self._horizon is None else torch.minimum(batch.end + self._horizon, batch.stop)

    def _attention(self, layout: Layout) -> AttentionContext:
        return CachedAttention(self._kept, layout)


class DualForwards(WindowForwards):
    """cache=dual: the window is the block, whose keys and values replace the older ones among those of the whole canvas."""

    def __init__(self, lm: LanguageModel, batch: CanvasBatch, horizon: int | None) -> None:
        """Prepare for the current blocks."""
        super().__init__(lm, batch, horizon)
        self._kept = WholeCache(batch.canvas.layout, self._whole)

    def opening(self) -> States:
        """See ``BlockForwards``."""
        return self._run(self._kept)

    def _far(self) -> Tensor:
        return self._batch.end

    def _attention(self, layout: Layout) -> AttentionContext:
        return OverwritingAttention(self._kept, layout)


FORWARDS: dict[str, Callable[[LanguageModel, CanvasBatch, int | None], BlockForwards]] = {
    "none": WholeForwards, "prefix": PrefixForwards, "dual": DualForwards}
"""The forwards of each value of the option ``cache``."""
