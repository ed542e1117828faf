"""Which slot holds the keys and values of which tokens, so that equal beginnings are read once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Known(NamedTuple):
    """How many of a slot's tokens (whole blocks) are known, and from which slot; ``None`` if none are.

    The source may be the slot itself, which then holds them from the sequence that had it before.
    """

    slot: int
    length: int
    source: int | None


class Prefixes:
    """The tokens whose keys and values each slot holds: full prompt blocks of sequences in flight, all of ended ones.

    Example (blocks of 2; the second prompt shares its first block with the first):
        >>> prefixes = Prefixes(2)
        >>> [[tuple(own) for own in some] for some in prefixes.plan([0, 1], [[1, 2, 3, 4], [1, 2, 5, 6]])]
        [[(0, 0, None)], [(1, 2, 0)]]
    """

    def __init__(self, block_size: int) -> None:
        """Nothing has been read."""
        self._size = block_size
        self._held: dict[int, list[int]] = {}

    def plan(self, slots: Sequence[int], prompts: Sequence[list[int]]) -> Iterator[list[Known]]:
        """In what order new prompts are read into free slots: rounds, each of which needs only what rounds before it read.

        What free slots held is overwritten, so that it helps only the prompt that comes into the same slot.
        """
        before = {slot: self._held.pop(slot, []) for slot in slots}
        rounds: dict[int, list[Known]] = {}
        depth = dict.fromkeys(self._held, -1)
        for slot, prompt in zip(slots, prompts, strict=True):
            length, source = max(((self._common(own, prompt), -other) for other, own in self._held.items()), default=(0, 0))
            kept = self._common(before[slot], prompt)
            known = Known(slot, kept, slot) if kept >= length else Known(slot, length, -source)
            if not known.length:
                known = Known(slot, 0, None)
            depth[slot] = 0 if known.source in (None, slot) else depth[-source] + 1
            rounds.setdefault(depth[slot], []).append(known)
            self._held[slot] = prompt
        yield from (rounds[number] for number in sorted(rounds))

    def hold(self, slot: int, tokens: list[int]) -> None:
        """A slot holds these tokens, whole blocks."""
        self._held[slot] = tokens

    def swap(self, one: int, two: int) -> None:
        """Two slots have exchanged what they hold."""
        held = self._held.pop(one, None), self._held.pop(two, None)
        self._held |= {slot: tokens for slot, tokens in zip((two, one), held, strict=True) if tokens is not None}

    def keep(self, num_slots: int, length: int) -> None:
        """Forget what lies in other slots than the first ``num_slots``, or behind ``length`` tokens."""
        whole = length // self._size * self._size
        self._held = {slot: tokens[:whole] for slot, tokens in self._held.items() if slot < num_slots}

    def _common(self, one: list[int], two: list[int]) -> int:
        """Tokens of the blocks that two sequences have in common at their beginning."""
        low, high = 0, min(len(one), len(two)) // self._size
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if one[:middle * self._size] == two[:middle * self._size] else (low, middle - 1)
        return low * self._size
