"""The denoiser: what a forward reveals in the blocks of the sequences in flight.

Letters: n sequences in flight, r rows, b block size, H hidden size.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from dllm_rl.decoding.discarding import note_discards
from dllm_rl.engine.job import Job
from dllm_rl.engine.settings import Settings
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel


class Denoiser:
    """Candidates and choices, for all sequences of equal settings at a time."""

    def __init__(self, lm: LanguageModel, slots: Slots) -> None:
        """For the sequences of ``slots``."""
        self._lm, self._slots = lm, slots

    def step(self, flying: Sequence[Job], hidden: Tensor, used: Collection[Settings]) -> Tensor:
        """Reveal what is due.

        Args:
            flying: the n sequences in flight.
            hidden: (n, b, H) states that predict the current blocks.
            used: their settings.

        Returns:
            (n,) bool, blocks that still have masks after their last step: their strategy is at fault.
        """
        slots, num = self._slots, len(flying)
        slots.forwards[:num] += slots.masked[:num].any(1)
        slots.number[:num] += 1
        stuck = torch.zeros(num, dtype=torch.bool, device=hidden.device)
        for settings in used:
            rows = (slots.settings[:num] == settings.number).nonzero()[:, 0] if len(used) > 1 else \
                torch.arange(num, device=hidden.device)
            self._reveal(settings, rows, hidden, flying)
            stuck[rows] = slots.masked[rows].any(1) & settings.is_stuck(slots.number[rows], slots.block[rows])
        return stuck

    def _reveal(self, settings: Settings, rows: Tensor, hidden: Tensor, flying: Sequence[Job]) -> None:
        slots = self._slots
        masked = slots.masked[rows]
        places = masked.flatten().nonzero()[:, 0]
        if not len(places):
            return
        position = slots.start[rows, None] + torch.arange(slots.block_size, device=rows.device)
        logits = self._lm.head(hidden[rows].flatten(0, 1)[places])
        candidates = settings.propose(logits, slots.seed[rows], position, slots.forwards[rows], places)
        prefix = f"{settings.config.remasking_strategy} "
        memory = {name.removeprefix(prefix): own[rows] for name, own in slots.memory.items() if name.startswith(prefix)}
        chosen = settings.choose(candidates, places, masked, slots.total[rows], slots.number[rows] - 1, slots.block[rows],
                                 memory)
        slots.remember(rows, {prefix + name: own for name, own in memory.items()})
        slots.reveal(rows, chosen, places, candidates)
        if settings.notes_discards:
            nothing_lost = settings.is_alone(slots.number[rows] - 1)[:, None]
            note_discards([flying[row] for row in rows.tolist()], chosen | nothing_lost, position, places, candidates.ids,
                          slots.forwards[rows])
