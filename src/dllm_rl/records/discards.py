"""The discards record: candidates that a rollout drew and did not reveal."""

from dataclasses import dataclass, field


@dataclass
class Discards:
    """Candidates thrown away that others were compared with, one entry per step and position; lists of equal length.

    Attributes:
        steps: 1-based number of the denoising forward that drew it.
        places: of the position among the decoded tokens, response and hidden tail together.
        ids: of the candidate.

    Example (at its first step a sequence drew 7 for its third token and revealed another position):
        >>> Discards(steps=[1], places=[2], ids=[7]).ids
        [7]
    """

    steps: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len({len(self.steps), len(self.places), len(self.ids)}) > 1:
            raise ValueError(f"the lists of discards have {len(self.steps)}, {len(self.places)} and {len(self.ids)} "
                             "entries; they must be equally long")

    def add(self, step: int, places: list[int], ids: list[int]) -> None:
        """Note what one step threw away."""
        self.steps += [step] * len(places)
        self.places += places
        self.ids += ids
