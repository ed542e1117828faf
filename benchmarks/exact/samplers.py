"""The samplers of the bench: decoding settings of every class, and what one of their steps can do.

Letters: C combinations of candidates and orders, w masked positions, V ids, A different actions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import torch
from benchmarks.exact.toy import ToyShape
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding.block_decoder import load_strategy
from dllm_rl.decoding.replay import recorded_sampler
from dllm_rl.decoding.sampling import processed_logits
from dllm_rl.decoding.schedules import even_split
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import sampler_class_of
from dllm_rl.families import LanguageModel

SAMPLERS: dict[str, dict[str, Any]] = {
    "R random order": {"remasking_strategy": "random_order"},
    "L sequential": {"remasking_strategy": "sequential"},
    "M entropy": {"remasking_strategy": "neg_entropy"},
    "M entropy bound": {"remasking_strategy": "entropy_bounded", "eb_threshold": 1.2},
    "D static 1": {"remasking_strategy": "low_confidence_static"},
    "D static 2": {"remasking_strategy": "low_confidence_static", "per_step": 2},
    "D dynamic": {"remasking_strategy": "low_confidence_dynamic", "dynamic_threshold": 0.5},
    "D factor": {"remasking_strategy": "threshold_factor", "threshold_factor": 1.2},
    "D unequal": {"remasking_strategy": "low_confidence_static", "temperature": 0.7, "score_of": "raw"},
    "D dynamic, top-k": {"remasking_strategy": "low_confidence_dynamic", "dynamic_threshold": 0.6, "top_k": 2,
                         "temperature": 1.4},
}
"""Settings by class and name; ``per_step`` is how many positions a step of a static rule reveals."""


def settings_of(name: str, shape: ToyShape) -> RecordedDecoding:
    """The settings of a sampler as a decoder records them."""
    given = dict(SAMPLERS[name])
    per_step = given.pop("per_step", 1)
    if shape.block_size is None:
        given |= {"decoder": "canvas", "steps": -(-shape.num_positions // per_step), "block_size": shape.num_positions,
                  "score_of": given.get("score_of", "processed"), "cache": "none"}
    else:
        given |= {"denoising_steps_per_block": -(-shape.block_size // per_step)}
    config = DecodingConfig(max_gen_length=shape.num_visible, record_discards=True, **given)
    strategy = load_strategy(config)
    return RecordedDecoding(**config.model_dump(), sampler_class=sampler_class_of(strategy, config, greedy=False),
                            replay_class=strategy.replay_class)


@dataclass(frozen=True)
class Action:
    """What a step did: a token for every position it revealed, and the candidates it threw away.

    Attributes:
        revealed: (position, id) pairs.
        discarded: (position, id) pairs; empty where they are not told apart.

    Example: ``Action(((0, 2),), ((1, 0),))`` revealed id 2 at position 0 and threw away id 0 at position 1.
    """

    revealed: tuple[tuple[int, int], ...]
    discarded: tuple[tuple[int, int], ...] = ()


class StepRule:
    """One step of a sampler with a toy, with the library's own distribution, scores and strategy."""

    def __init__(self, lm: LanguageModel, shape: ToyShape, settings: RecordedDecoding, with_discards: bool) -> None:
        """Prepare; ``with_discards`` tells actions apart by what was thrown away too, where it counted."""
        self._lm, self._shape, self._settings = lm, shape, settings
        self._with_discards = with_discards and settings.sampler_class == "drawn"
        self._strategy = load_strategy(settings)
        self._sampler = recorded_sampler(lm, settings)

    def actions(self, ids: tuple[int, ...], number: int) -> tuple[list[Action], Tensor]:
        """All that can happen to a canvas.

        Args:
            ids: of the response positions, the mask id where masked.
            number: 0-based step of the current block.

        Returns:
            A different actions, and their (A,) float64 probabilities, differentiable.
        """
        inside = current_block(ids, self._shape, self._lm.mask_token_id)
        masked = [place for place in inside if ids[place] == self._lm.mask_token_id]
        logits = self._logits(ids, inside, masked)
        processed = processed_logits(logits, self._sampler.allowed, self._settings, self._settings.top_p_first)
        log_q, table = processed.double().log_softmax(-1), self._sampler.score_table(logits)
        drawable = [(row > -torch.inf).nonzero()[:, 0].tolist() for row in processed]
        orders = list(permutations(range(len(masked)))) if self._sampler.score == "random" else [None]
        combinations = list(product(product(*drawable), orders))
        picked = torch.tensor([ids_ for ids_, _ in combinations])
        scores = table.detach().gather(1, picked.T).T.contiguous()
        if orders[0] is not None:
            scores = torch.tensor([order for _, order in combinations], dtype=torch.float32)
        chosen = self._reveal(scores, [place - inside[0] for place in masked], len(inside), number)
        probability = log_q.gather(1, picked.T).sum(0).exp() / len(orders)
        return self._merged(masked, picked, chosen, probability)

    def _logits(self, ids: tuple[int, ...], inside: range, masked: list[int]) -> Tensor:
        """(w, V) logits at masked positions, beside what the decoder would see there."""
        start = len(self._shape.prompt_ids)
        row = torch.tensor([[*self._shape.prompt_ids, *ids[:inside.stop]]])
        return self._lm.logits(row)[0, torch.tensor(masked) + start]

    def _reveal(self, scores: Tensor, places: list[int], width: int, number: int) -> Tensor:
        """(C, w) bool: what the strategy reveals, for (C, w) scores at ``places`` of a block."""
        num = len(scores)
        full, open_ = torch.zeros(num, width), torch.zeros(num, width, dtype=torch.bool)
        full[:, places], open_[:, places] = scores, True
        return self._strategy.reveal(full, open_, self._step(num, width, number), self._settings)[:, places]

    def _step(self, num: int, width: int, number: int) -> Step:
        place, is_canvas = torch.full((num,), number), self._shape.block_size is None
        steps = self._settings.steps if is_canvas else self._settings.denoising_steps_per_block
        assert steps is not None      # settings_of
        if is_canvas and not self._strategy.paced:
            return Step(torch.ones_like(place), torch.zeros_like(place, dtype=torch.bool), True)
        return Step(even_split(width, steps, place), place >= steps - 1, is_canvas)

    def _merged(self, masked: list[int], picked: Tensor, chosen: Tensor,
                probability: Tensor) -> tuple[list[Action], Tensor]:
        """Equal actions added up."""
        numbers: dict[Action, int] = {}
        group = [numbers.setdefault(action, len(numbers)) for action in self._described(masked, picked, chosen)]
        total = torch.zeros(len(numbers), dtype=torch.float64)
        return list(numbers), total.index_add(0, torch.tensor(group), probability)

    def _described(self, masked: list[int], picked: Tensor, chosen: Tensor) -> Iterator[Action]:
        for tokens, taken in zip(picked.tolist(), chosen.tolist(), strict=True):
            pairs = list(zip(masked, tokens, strict=True))
            revealed = tuple(pair for pair, own in zip(pairs, taken, strict=True) if own)
            left = tuple(pair for pair, own in zip(pairs, taken, strict=True) if not own)
            yield Action(revealed, left if self._with_discards else ())


def current_block(ids: tuple[int, ...], shape: ToyShape, mask_token_id: int) -> range:
    """The response positions of the first block that holds a mask."""
    size = shape.block_size or shape.num_positions
    begin = ids.index(mask_token_id) // size * size
    return range(begin, begin + size)
