"""Keeping what a step drew and did not reveal; every loop that decodes under ``record_discards`` calls it once a step.

Letters: B rows, b positions of the canvas, M positions with a candidate.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.request import Request
from dllm_rl.decoding.strategies import Strategy, sampler_class_of
from dllm_rl.records import Discards


class Keeper(Protocol):
    """A request on its way that keeps its discarded candidates, or not."""

    request: Request
    discards: Discards | None


def compares_discards(strategy: Strategy, config: DecodingConfig) -> bool:
    """Whether discards are to be kept and there are any that others were compared with."""
    return config.record_discards and sampler_class_of(strategy, config, greedy=False) == "drawn"


def note_discards(rows: Sequence[Keeper], chosen: Tensor, position: Tensor, places: Tensor, ids: Tensor,
                  forwards: Tensor) -> None:
    """Add a step's discarded candidates to the records of its rows. Reads tensors on the host.

    Args:
        rows: B rows; those without ``discards`` are left alone.
        chosen: (B, b) bool, what the step revealed.
        position: (B, b) int64 place in the sequence.
        places: (M,) int64 flat places of the canvas that candidates were drawn for.
        ids: (M,) int64 candidates.
        forwards: (B,) int64 1-based number of this forward in each row's sequence.
    """
    left = ~chosen.flatten()[places]
    row = torch.div(places, chosen.shape[1], rounding_mode="floor")[left].tolist()
    where, drawn, steps = position.flatten()[places[left]].tolist(), ids[left].tolist(), forwards.tolist()
    for number, place, token in zip(row, where, drawn, strict=True):
        keeper = rows[number]
        if keeper.discards is not None:
            keeper.discards.add(steps[number], [place - len(keeper.request.prompt_ids)], [token])
