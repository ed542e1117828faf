"""The job record: a request on its way through the engine."""

from dataclasses import dataclass

from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.request import Request
from dllm_rl.engine.events import Watch
from dllm_rl.engine.settings import Settings
from dllm_rl.records import Discards


@dataclass
class Job:
    """A request, how it is decoded, and where it is.

    Attributes:
        ticket: its number, in the order of submission.
        request: what is decoded.
        config: how.
        watch: what is reported before it ends.
        settings: what it shares with others of equal options.
        parked: the row of the slot table it left when it was set aside, by name; ``None`` before its first slot.
        discards: what was drawn and not revealed; ``None`` if that is not kept.
        decoded: ids of the finished blocks it had then, the prompt's rest at their beginning left out.

    Example: ``Job(0, Request([5], 8), DecodingConfig(), "nothing", settings)`` waits for its first slot.
    """

    ticket: int
    request: Request
    config: DecodingConfig
    watch: Watch
    settings: Settings
    parked: dict[str, Tensor] | None = None
    decoded: tuple[int, ...] = ()
    discards: Discards | None = None
