"""Which slot has read which beginning of a prompt, so that equal beginnings are read once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Known(NamedTuple):
    """How many tokens of a slot's prompt (whole blocks) another slot has read, and which; ``None`` if none has."""

    slot: int
    length: int
    source: int | None


class Prefixes:
    """The full prompt blocks of the slots in flight.

    Example (blocks of 2; the second prompt shares its first block with the first):
        >>> prefixes = Prefixes(2)
        >>> [[tuple(own) for own in some] for some in prefixes.plan([0, 1], [[1, 2, 3, 4], [1, 2, 5, 6]])]
        [[(0, 0, None)], [(1, 2, 0)]]
    """

    def __init__(self, block_size: int) -> None:
        """Nothing has been read."""
        self._size = block_size
        self._read: dict[int, list[int]] = {}

    def plan(self, slots: Sequence[int], prompts: Sequence[list[int]]) -> Iterator[list[Known]]:
        """In what order new prompts are read: rounds, each of which needs only what rounds before it have read."""
        rounds: dict[int, list[Known]] = {}
        depth = dict.fromkeys(self._read, -1)
        for slot, prompt in zip(slots, prompts, strict=True):
            length, source = max(((self._common(own, prompt), -other) for other, own in self._read.items()), default=(0, 0))
            depth[slot] = depth[-source] + 1 if length else 0
            rounds.setdefault(depth[slot], []).append(Known(slot, length, -source if length else None))
            self._read[slot] = prompt
        yield from (rounds[number] for number in sorted(rounds))

    def forget(self, slot: int) -> None:
        """A slot is free."""
        self._read.pop(slot, None)

    def move(self, source: int, target: int) -> None:
        """A sequence has moved to another slot."""
        self._read[target] = self._read.pop(source)

    def _common(self, one: list[int], two: list[int]) -> int:
        """Tokens of the blocks that two prompts have in common at their beginning."""
        same = 0
        while same < min(len(one), len(two)) and one[same:same + self._size] == two[same:same + self._size]:
            same += self._size
        return same
