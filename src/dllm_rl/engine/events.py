"""What a step of the engine reports of its requests."""

from dataclasses import dataclass
from typing import Literal

from dllm_rl.records import Rollout

Watch = Literal["nothing", "blocks", "steps"]
"""What is reported of a request before it ends: nothing, finished blocks, or also every step of unfinished ones."""


@dataclass(frozen=True)
class Unmasked:
    """A forward has been made of a block that is not finished yet.

    Attributes:
        ticket: of the request.
        start: place of ``ids`` in the response, 0-based.
        ids: of the block's response tokens, the mask id where one is masked.
    """

    ticket: int
    start: int
    ids: list[int]


@dataclass(frozen=True)
class BlockDone:
    """A block is finished.

    Attributes:
        ticket: of the request.
        ids, steps, logprobs: the n response tokens that the block adds, as in ``Rollout``; what lies behind the stop token
            or the limit is left out.
    """

    ticket: int
    ids: list[int]
    steps: list[int]
    logprobs: list[float]


@dataclass(frozen=True)
class Ended:
    """A response has ended."""

    ticket: int
    rollout: Rollout


@dataclass(frozen=True)
class Failed:
    """A request could not be decoded to its end; ``error`` says why."""

    ticket: int
    error: Exception


Event = Unmasked | BlockDone | Ended | Failed
