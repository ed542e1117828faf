"""The stats record: how busy an engine is, and what it has done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineStats:
    """Figures of an engine.

    Attributes:
        num_running, num_waiting: sequences in flight, and requests without a slot.
        cached_tokens: positions cached of the sequences in flight.
        cache_capacity: positions the cache has memory for.
        cache_bytes: that memory.
        num_forwards: passes through the model, prefill included.
        forwarded_tokens: their tokens.
        generated_tokens: response tokens of ended requests.
        num_preemptions: sequences set aside for want of room.
        version: of the weights.
    """

    num_running: int
    num_waiting: int
    cached_tokens: int
    cache_capacity: int
    cache_bytes: int
    num_forwards: int
    forwarded_tokens: int
    generated_tokens: int
    num_preemptions: int
    version: int
