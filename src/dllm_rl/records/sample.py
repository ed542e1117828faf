"""The sample record: a prompt and a response to learn from."""

from dataclasses import dataclass


def check_sequence(prompt_ids: list[int], response_ids: list[int], step_map: list[int] | None) -> None:
    """Raise ``ValueError`` unless the three lists fit together (ids >= 0, one step id >= 0 per response token)."""
    if any(token < 0 for token in [*prompt_ids, *response_ids]):
        raise ValueError("token ids must be 0 or larger")
    if step_map is not None and len(step_map) != len(response_ids):
        raise ValueError(f"step_map has {len(step_map)} ids for {len(response_ids)} response tokens; "
                         "one id per token is needed")
    if step_map is not None and any(step < 0 for step in step_map):
        raise ValueError("step ids must be 0 or larger")


@dataclass
class Sample:
    """A prompt with the response to learn, and optionally the order in which it was revealed.

    Attributes:
        prompt_ids: token ids without pads.
        response_ids: token ids, the end token included if it is to be learned.
        step_map: per response token the 1-based number of the forward that revealed it; ``None`` = left to right.

    Example:
        >>> Sample([7, 8, 9], [20, 21], [2, 1]).step_map    # token 21 was revealed first
        [2, 1]
    """

    prompt_ids: list[int]
    response_ids: list[int]
    step_map: list[int] | None = None

    def __post_init__(self) -> None:
        check_sequence(self.prompt_ids, self.response_ids, self.step_map)

    @property
    def tail_ids(self) -> list[int]:
        """Always empty: a sample has no hidden tail."""
        return []

    @property
    def tail_steps(self) -> list[int]:
        """Always empty: a sample has no hidden tail."""
        return []

    @property
    def block_size(self) -> int | None:
        """Always ``None``: a sample was not decoded in blocks; the model says how to train it."""
        return None
