"""Room in the slot cache: who fits, and how large it is made."""

from dllm_rl.engine.slot_cache import SlotCache

GRAIN = 16
"""Lengths of the cache's rows are multiples of this."""


def rounded(length: int) -> int:
    """The length of rows that hold ``length`` positions."""
    return -(-length // GRAIN) * GRAIN


class Room:
    """The bounds of a lane's cache: rows, and rows times their common length.

    Example:
        >>> room = Room(max_num_seqs=8, max_cache_tokens=64)
        >>> room.has(2, 32), room.has(2, 33), room.has(9, 1)
        (True, False, False)
    """

    def __init__(self, max_num_seqs: int, max_cache_tokens: int | None) -> None:
        """At most so many sequences and positions; ``None`` is no bound."""
        self._rows, self._tokens = max_num_seqs, max_cache_tokens

    def check(self, needed: int) -> None:
        """Raise ``ValueError`` if one sequence of ``needed`` positions does not fit."""
        if not self.has(1, needed):
            raise ValueError(f"a request of up to {needed} positions (prompt and response) needs {rounded(needed)} in the "
                             f"cache, which has {self._tokens}; shorten it, or raise max_cache_tokens")

    def has(self, num: int, reach: int) -> bool:
        """Whether ``num`` sequences fit, the longest of which needs ``reach`` positions."""
        return num <= self._rows and (self._tokens is None or num * rounded(reach) <= self._tokens)

    def sizes(self, num: int, reach: int, longest: int, cache: SlotCache) -> tuple[int, int] | None:
        """The slots and the length a cache should get.

        Args:
            num: sequences in flight, which fit.
            reach: positions the longest of them needs now.
            longest: positions it may need later.
            cache: the present one.

        Returns:
            ``None`` if the present one is fine. Rows grow by doubling and lengths by a quarter, so that what is copied
            stays in proportion to what is used.
        """
        reach = rounded(reach)
        if num <= cache.num_slots and reach <= cache.length and (
                self._tokens is None or cache.num_slots * cache.length <= self._tokens):
            return None
        rows = max(cache.num_slots, min(self._rows, 1 << (num - 1).bit_length()))
        larger = max(reach, min(rounded(cache.length * 5 // 4), rounded(longest)))
        length = cache.length if reach <= cache.length else larger
        if self._tokens is not None and rows * length > self._tokens:
            length = reach
            rows = min(rows, self._tokens // length)
        return rows, length
