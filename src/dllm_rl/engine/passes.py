"""Passes: what the model computes for the sequences in flight, and what of it is cached.

Letters: n sequences in flight, b block size, H hidden size.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from dllm_rl.engine.job import Job
from dllm_rl.engine.slot_attention import SlotAttention
from dllm_rl.engine.slot_cache import SlotCache
from dllm_rl.families import LanguageModel


class Passes(Protocol):
    """The passes of a lane; slots 0 to n - 1 are in flight."""

    cache: SlotCache
    grows: bool
    """Whether a sequence needs more positions with each block."""

    def first_block(self, job: Job) -> int:
        """Position of a new sequence's first block."""
        ...

    def reach(self, job: Job) -> int:
        """Positions a sequence needs when it comes in."""
        ...

    def needs(self, num: int) -> Tensor:
        """(n,) int64: positions the sequences in flight need now."""
        ...

    def open(self, first: int, jobs: Sequence[Job]) -> None:
        """Prepare sequences that have come into slots from ``first`` on."""
        ...

    def states(self, num: int, length: int) -> Tensor:
        """(n, b, H) states that predict the current blocks; no position is at or behind ``length``."""
        ...

    def roll(self, rows: Tensor) -> None:
        """The blocks of ``rows`` are finished, and others come after them."""
        ...

    def leave(self, slot: int, last: int, length: int, tokens: Sequence[int] | None) -> None:
        """Slot ``slot`` is free, and slot ``last`` takes its place.

        Args:
            slot: which.
            last: the last one in flight.
            length: positions that matter.
            tokens: the sequence's tokens whose keys and values are cached, where they are known.
        """
        ...

    def forget(self) -> None:
        """The weights have changed: what is cached must not be given to other sequences."""
        ...

    def refresh(self, jobs: Sequence[Job]) -> None:
        """Compute anew what is cached of the sequences in flight; ``jobs`` say with ``decoded`` what they have."""
        ...

    def resize(self, num_slots: int, length: int) -> None:
        """Take room for so many sequences of so many positions."""
        ...


class ModelPasses:
    """Passes through the model, counted."""

    def __init__(self, lm: LanguageModel) -> None:
        """Of ``lm``; nothing has been computed."""
        self.lm, self.cache = lm, SlotCache(lm.device)
        self.num_forwards, self.forwarded_tokens = 0, 0

    def run(self, ids: Tensor, position: Tensor, attention: SlotAttention) -> Tensor:
        """(T, H) states of (T,) tokens."""
        self.num_forwards += 1
        self.forwarded_tokens += len(ids)
        return self.lm.hidden(ids[None], position[None], attention)[0]

    def run_stretches(self, stretches: "Stretches", ids: Tensor, border: Tensor, length: int) -> Tensor:
        """(T, H) states of stretches of tokens, one per row.

        Args:
            stretches: where they are.
            ids: (T,) int64.
            border: (T,) int64; a token sees the positions below it.
            length: at least the largest border.
        """
        own = stretches
        first, last, width = torch.stack([own.rows[0], own.rows[-1], own.sizes.max()]).tolist()
        place = (own.row - first) * width + own.offset
        return self.run(ids, own.position, SlotAttention(self.cache, own.row, own.position, place,
                                                         (last - first + 1, width), border, length, first))


class Stretches:
    """Stretches of tokens, one per row, laid one after another.

    Attributes:
        rows, begin, sizes: (r,) int64: slots, ascending; positions of the first tokens; numbers of tokens.
        row, position, offset: (T,) int64 of each token: its slot, its position in the sequence and in the stretch.
        at: (r,) int64, place of each stretch's first token among the T.
    """

    def __init__(self, rows: Tensor, begin: Tensor, sizes: Tensor) -> None:
        """Lay out."""
        self.rows, self.begin, self.sizes = rows, begin, sizes
        self.row = rows.repeat_interleave(sizes)
        self.at = sizes.cumsum(0) - sizes
        self.offset = torch.arange(len(self.row), device=rows.device) - self.at.repeat_interleave(sizes)
        self.position = begin.repeat_interleave(sizes) + self.offset
