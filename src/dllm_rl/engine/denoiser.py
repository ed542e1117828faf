"""The denoiser: what a forward reveals in the blocks of the sequences in flight.

Letters: n sequences in flight, r rows, b block size, H hidden size.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from dllm_rl.engine.settings import Settings
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel


class Denoiser:
    """Candidates and choices, for all sequences of equal settings at a time."""

    def __init__(self, lm: LanguageModel, slots: Slots) -> None:
        """For the sequences of ``slots``."""
        self._lm, self._slots = lm, slots

    def step(self, num: int, hidden: Tensor, used: Collection[Settings]) -> Tensor:
        """Reveal what is due.

        Args:
            num: n.
            hidden: (n, b, H) states that predict the current blocks.
            used: the settings of the sequences in flight.

        Returns:
            (n,) bool, blocks that still have masks after their last step: their strategy is at fault.
        """
        slots = self._slots
        slots.forwards[:num] += slots.masked[:num].any(1)
        slots.number[:num] += 1
        stuck = torch.zeros(num, dtype=torch.bool, device=hidden.device)
        for settings in used:
            rows = (slots.settings[:num] == settings.number).nonzero()[:, 0] if len(used) > 1 else \
                torch.arange(num, device=hidden.device)
            self._reveal(settings, rows, hidden)
            stuck[rows] = slots.masked[rows].any(1) & settings.is_stuck(slots.number[rows], slots.block[rows])
        return stuck

    def _reveal(self, settings: Settings, rows: Tensor, hidden: Tensor) -> None:
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
