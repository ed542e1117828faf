"""Passes of full-attention families: whole canvases, and windows of them against keys and values of older passes.

Letters: n sequences in flight, S slots, b block size, N canvas positions, H hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dllm_rl.engine.job import Job
from dllm_rl.engine.passes import ModelPasses, Stretches
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel

UNLIMITED = 1 << 40
"""A horizon that reaches the end of every canvas."""


class CanvasPasses(ModelPasses):
    """See ``Passes``. The first pass of a block is of the whole canvas (SPEC 1.4, 1.6).

    What follows is whole too (``cache=none``), or a window from the block on whose keys and values are written over the
    older ones: the block and what stands behind it, which sees nothing behind the window (``prefix``), or the block alone,
    which sees the whole canvas (``dual``). A step makes one pass for the rows with whole canvases and one for the others.
    """

    grows = False

    def __init__(self, lm: LanguageModel, slots: Slots) -> None:
        """Prepare for the sequences of ``slots``; ``lm`` is of a full-attention family."""
        super().__init__(lm)
        self._slots, self._size = slots, slots.block_size
        self._canvas = torch.zeros(0, 0, dtype=torch.long, device=lm.device)
        self._modes = torch.zeros(0, 3, dtype=torch.long, device=lm.device)      # is whole, is dual, horizon
        self._stale = False

    def first_block(self, job: Job) -> int:
        """See ``Passes``: behind the prompt."""
        return len(job.request.prompt_ids)

    def reach(self, job: Job) -> int:
        """See ``Passes``: the whole canvas, in whole blocks."""
        return len(job.request.prompt_ids) + -(-job.request.max_new // self._size) * self._size

    def needs(self, num: int) -> Tensor:
        """See ``Passes``: the whole canvases, in whole blocks."""
        return self._slots.num_prompt[:num] + (self._slots.limit[:num] + self._size - 1) // self._size * self._size

    def open(self, first: int, jobs: Sequence[Job]) -> None:
        """See ``Passes``: lay out the canvases."""
        mask = self.lm.mask_token_id
        for slot, job in enumerate(jobs, first):
            request, config = job.request, job.config
            given = request.given or (None,) * request.max_new
            canvas = [*request.prompt_ids, *(mask if token is None else token for token in given)]
            self._canvas[slot, :len(canvas)] = torch.tensor(canvas).to(self._canvas)
            horizon = UNLIMITED if config.further_horizon is None else config.further_horizon
            self._modes[slot] = torch.tensor([job.settings.cache == "none", job.settings.cache == "dual", horizon])

    def states(self, num: int, length: int) -> Tensor:
        """See ``Passes``."""
        slots, size = self._slots, self._size
        every, start = torch.arange(num, device=slots.start.device), slots.start[:num]
        self._write(every, start, slots.ids[:num])
        whole = (slots.number[:num] == 0) | (self._modes[:num, 0] == 1) | self._stale
        self._stale = False
        stop = slots.num_prompt[:num] + slots.limit[:num]
        dual = self._modes[:num, 1] == 1
        far = torch.minimum(start + size + torch.where(dual, 0, self._modes[:num, 2]), stop)
        begin, end = torch.where(whole, 0, start), torch.where(whole, stop, far)
        border = torch.where(whole | dual, stop, far)
        out: Tensor | None = None
        for rows in (whole.nonzero()[:, 0], (~whole).nonzero()[:, 0]):
            if len(rows):
                found = self._block_states(rows, begin[rows], (end - begin)[rows], border[rows], length)
                out = found.new_zeros(num, *found.shape[1:]) if out is None else out
                out[rows] = found
        assert out is not None      # somebody is in flight
        return out

    def _block_states(self, rows: Tensor, begin: Tensor, sizes: Tensor, border: Tensor, length: int) -> Tensor:
        """(r, b, H) states that predict the current blocks of ``rows``, of a pass over one stretch of each."""
        stretches = Stretches(rows, begin, sizes)
        ids = self._canvas[stretches.row, stretches.position]
        states = self.run_stretches(stretches, ids, border.repeat_interleave(sizes), length)
        within = torch.arange(self._size, device=rows.device)
        place = self._slots.start[rows, None] + within - self.lm.family.logit_shift - begin[:, None]
        return states[stretches.at[:, None] + torch.minimum(place.clamp(min=0), sizes[:, None] - 1)]

    def _write(self, rows: Tensor, start: Tensor, ids: Tensor) -> None:
        """Put blocks (r, b) into the canvases."""
        self._canvas[rows[:, None], start[:, None] + torch.arange(ids.shape[1], device=ids.device)] = ids

    def roll(self, rows: Tensor) -> None:
        """See ``Passes``."""
        self._write(rows, self._slots.start[rows] - self._size, self._slots.previous[rows])

    def leave(self, slot: int, last: int, length: int, tokens: Sequence[int] | None) -> None:
        """See ``Passes``; nothing that is left helps later sequences."""
        if slot != last:
            self.cache.copy(last, slot, length)
            self._canvas[slot], self._modes[slot] = self._canvas[last], self._modes[last]

    def forget(self) -> None:
        """See ``Passes``: sequences share nothing."""

    def refresh(self, jobs: Sequence[Job]) -> None:
        """See ``Passes``: the next pass is of the whole canvases."""
        self._stale = True

    def resize(self, num_slots: int, length: int) -> None:
        """See ``Passes``."""
        self.cache.resize(num_slots, length)
        kept = min(num_slots, len(self._canvas)), min(length, self._canvas.shape[1])
        canvas, modes = self._canvas.new_zeros(num_slots, length), self._modes.new_zeros(num_slots, 3)
        canvas[:kept[0], :kept[1]], modes[:kept[0]] = self._canvas[:kept[0], :kept[1]], self._modes[:kept[0]]
        self._canvas, self._modes = canvas, modes
