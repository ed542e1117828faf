"""Passes of block families: finished blocks are cached once, and the current ones see them.

Letters: n sequences in flight, b block size, H hidden size.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dllm_rl.engine.job import Job
from dllm_rl.engine.padded_blocks import PaddedBlocks
from dllm_rl.engine.passes import ModelPasses, Stretches
from dllm_rl.engine.prefixes import Prefixes
from dllm_rl.engine.slot_attention import SlotAttention
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel


class _Piece(NamedTuple):
    """Whole blocks of a sequence, the first at position ``begin``, for a slot."""

    slot: int
    begin: int
    ids: list[int]


class BlockPasses(ModelPasses):
    """See ``Passes``. A finished block is cached by the pass that denoises the next one of its sequence."""

    grows = True

    def __init__(self, lm: LanguageModel, slots: Slots, max_prefill_tokens: int, padded: bool) -> None:
        """Prepare.

        Args:
            lm: a model of a block family.
            slots: the sequences in flight.
            max_prefill_tokens: of a pass.
            padded: denoise in passes of few shapes, captured as graphs on a GPU.
        """
        super().__init__(lm)
        self._slots, self._size = slots, slots.block_size
        self._budget = max(1, max_prefill_tokens // self._size) * self._size
        self._prefixes = Prefixes(self._size)
        self._pending = torch.zeros(0, dtype=torch.long, device=lm.device)
        self._padded = PaddedBlocks(self, slots) if padded else None

    def first_block(self, job: Job) -> int:
        """See ``Passes``: the block in which the prompt ends, or the one behind it."""
        return len(job.request.prompt_ids) // self._size * self._size

    def reach(self, job: Job) -> int:
        """See ``Passes``: the end of the current block."""
        tokens = len(job.request.prompt_ids) + len(job.decoded)
        return tokens // self._size * self._size + self._size

    def needs(self, num: int) -> Tensor:
        """See ``Passes``: the ends of the current blocks."""
        return self._slots.start[:num] + self._size

    def open(self, first: int, jobs: Sequence[Job]) -> None:
        """See ``Passes``: read those full blocks that no slot has read."""
        self._read(range(first, first + len(jobs)), jobs)

    def _read(self, slots: Sequence[int], jobs: Sequence[Job]) -> None:
        tokens = [self._full_blocks(job) for job in jobs]
        of = dict(zip(slots, tokens, strict=True))
        for known in self._prefixes.plan(slots, tokens):
            for slot, length, source in known:
                if source not in (None, slot):
                    self.cache.copy(source, slot, length)
            self._prefill([_Piece(slot, length, of[slot][length:]) for slot, length, _ in known])

    def _full_blocks(self, job: Job) -> list[int]:
        tokens = [*job.request.prompt_ids, *job.decoded]
        return tokens[:len(tokens) // self._size * self._size]

    def _prefill(self, pieces: Sequence[_Piece]) -> None:
        """Read pieces, as many tokens in a pass as the settings allow, longer pieces in parts."""
        parts = deque(_Piece(own.slot, own.begin + at, own.ids[at:at + self._budget])
                      for own in pieces for at in range(0, len(own.ids), self._budget))
        while parts:
            taken = [parts.popleft()]
            while parts and parts[0].slot > taken[-1].slot:
                width = max(len(own.ids) for own in (*taken, parts[0]))
                if width * (len(taken) + 1) > self._budget:
                    break
                taken.append(parts.popleft())
            self._read_together(taken)

    def _read_together(self, pieces: Sequence[_Piece]) -> None:
        device = self.lm.device
        stretches = Stretches(*(torch.tensor(values, device=device) for values in (
            [own.slot for own in pieces], [own.begin for own in pieces], [len(own.ids) for own in pieces])))
        ids = torch.tensor([token for own in pieces for token in own.ids], device=device)
        length = max(own.begin + len(own.ids) for own in pieces)
        self.run_stretches(stretches, ids, (stretches.position // self._size + 1) * self._size, length)

    def states(self, num: int, length: int) -> Tensor:
        """See ``Passes``; finished blocks ride along before the current ones."""
        pending, self._pending = self._pending, self._pending[:0]
        if self._padded is not None:
            return self._padded.states(num, pending, length)
        slots, size = self._slots, self._size
        every, within = torch.arange(num, device=pending.device), torch.arange(size, device=pending.device)
        width = size + (size if len(pending) else 0)
        row = torch.cat([pending.repeat_interleave(size), every.repeat_interleave(size)])
        position = torch.cat([(slots.start[pending, None] - size + within).flatten(),
                              (slots.start[:num, None] + within).flatten()])
        ids = torch.cat([slots.previous[pending].flatten(), slots.ids[:num].flatten()])
        place = torch.cat([(pending[:, None] * width + within).flatten(),
                           (every[:, None] * width + width - size + within).flatten()])
        attention = SlotAttention(self.cache, row, position, place, (num, width), (position // size + 1) * size, length)
        return self.run(ids, position, attention)[-num * size:].view(num, size, -1)

    def roll(self, rows: Tensor) -> None:
        """See ``Passes``: they are cached by the next pass."""
        self._pending = rows

    def leave(self, slot: int, last: int, length: int, tokens: Sequence[int] | None) -> None:
        """See ``Passes``; what the sequence leaves in the cache may help later ones."""
        if tokens is not None:
            self._prefixes.hold(slot, list(tokens[:len(tokens) // self._size * self._size]))
        self._pending = self._pending[self._pending != slot]
        if slot != last:
            self.cache.swap(slot, last, length)
            self._prefixes.swap(slot, last)
            self._pending = torch.where(self._pending == last, slot, self._pending)

    def forget(self) -> None:
        """See ``Passes``."""
        self._prefixes = Prefixes(self._size)

    def refresh(self, jobs: Sequence[Job]) -> None:
        """See ``Passes``: all finished blocks are read again, also those that waited for it."""
        self.forget()
        self._pending = self._pending[:0]
        self._read(range(len(jobs)), jobs)

    def resize(self, num_slots: int, length: int) -> None:
        """See ``Passes``."""
        self.cache.resize(num_slots, length)
        self._prefixes.keep(num_slots, length)
