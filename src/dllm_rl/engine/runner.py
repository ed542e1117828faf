"""The runner: forwards of the sequences in flight, and what they reveal.

Letters: n sequences in flight, b block size, T tokens of a pass, M masked positions of all current blocks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.block_decoder import score_of_strategy, spread
from dllm_rl.decoding.draws import Purpose, uniform
from dllm_rl.decoding.sampling import Sampler
from dllm_rl.decoding.schedules import even_split, num_steps
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy
from dllm_rl.engine.slot_attention import SlotAttention
from dllm_rl.engine.slot_cache import SlotCache
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel
from dllm_rl.registry import STRATEGIES


class Piece(NamedTuple):
    """Whole blocks of a prompt, the first at position ``begin``, for a slot."""

    slot: int
    begin: int
    ids: list[int]


class Runner:
    """One model, one way to decode, and the tensors of the sequences in flight."""

    def __init__(self, lm: LanguageModel, config: DecodingConfig, block_size: int, slots: Slots, cache: SlotCache,
                 greedy: bool) -> None:
        """Prepare; the strategy must look at one step alone."""
        self._lm, self._config, self._size, self._greedy = lm, config, block_size, greedy
        self.slots, self.cache = slots, cache
        self._strategy: Strategy = STRATEGIES.load(config.remasking_strategy)()
        self._sampler = Sampler(config, lm.allowed_ids, score_of_strategy(self._strategy, config),
                                config.score_of or "processed", pad_token_id=lm.pad_token_id)
        self._steps = num_steps(config, block_size)
        self.forwarded_tokens = 0
        """Tokens of all passes so far."""

    def prefill(self, pieces: Sequence[Piece]) -> None:
        """Read pieces of prompts into the cache, each a number of whole blocks, in one pass."""
        first, width = min(own.slot for own in pieces), max(len(own.ids) for own in pieces)
        rows = max(own.slot for own in pieces) - first + 1
        row = torch.cat([torch.full((len(own.ids),), own.slot) for own in pieces]).to(self._lm.device)
        offset = torch.cat([torch.arange(len(own.ids)) for own in pieces]).to(self._lm.device)
        begin = torch.cat([torch.full((len(own.ids),), own.begin) for own in pieces]).to(self._lm.device)
        ids = torch.tensor([token for own in pieces for token in own.ids], device=self._lm.device)
        attention = SlotAttention(self.cache, row, begin + offset, (row - first) * width + offset, (rows, width),
                                  self._size, first)
        self._forward(ids, begin + offset, attention)

    def _forward(self, ids: Tensor, position: Tensor, attention: SlotAttention) -> Tensor:
        """(T, H) states of a pass."""
        self.forwarded_tokens += len(ids)
        return self._lm.hidden(ids[None], position[None], attention)[0]

    def step(self, num: int, pending: Tensor) -> Tensor:
        """Denoise the blocks of the first ``num`` slots, and cache the finished blocks of ``pending`` (P,) on the way.

        Returns:
            (num,) bool, rows whose block is finished now.
        """
        slots, size = self.slots, self._size
        hidden = self._states(num, pending)
        slots.forwards[:num] += 1
        places = slots.masked[:num].flatten().nonzero()[:, 0]
        position = slots.start[:num, None] + torch.arange(size, device=places.device)
        uniforms, order = (uniform(slots.seed[:num, None], position, slots.forwards[:num, None], purpose).flatten()[places]
                           for purpose in (Purpose.CANDIDATE, Purpose.ORDER))
        candidates = self._sampler.propose(self._lm.head(hidden[places]), None if self._greedy else uniforms, order)
        number = slots.number[:num]
        step = Step(even_split(size, self._steps, number), number >= self._steps - 1)
        masked = slots.masked[:num]
        chosen = self._strategy.reveal(spread(candidates.scores, places, masked.shape), masked, step, self._config) & masked
        slots.reveal(num, chosen, places, candidates)
        slots.number[:num] += 1
        return ~slots.masked[:num].any(1)

    def _states(self, num: int, pending: Tensor) -> Tensor:
        """(num * b, H) states of the current blocks; finished blocks before them ride along."""
        slots, size = self.slots, self._size
        every = torch.arange(num, device=pending.device)
        within = torch.arange(size, device=pending.device)
        width = size + (size if len(pending) else 0)
        row = torch.cat([pending.repeat_interleave(size), every.repeat_interleave(size)])
        position = torch.cat([(slots.start[pending, None] - size + within).flatten(),
                              (slots.start[:num, None] + within).flatten()])
        ids = torch.cat([slots.previous[pending].flatten(), slots.ids[:num].flatten()])
        place = torch.cat([(pending[:, None] * width + within).flatten(),
                           (every[:, None] * width + width - size + within).flatten()])
        attention = SlotAttention(self.cache, row, position, place, (num, width), size)
        return self._forward(ids, position, attention)[-num * size:]
