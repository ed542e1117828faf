"""The order things are trained in: one seeded permutation after another, each thing once per pass."""

import random
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """Tasks or samples by place in an endless sequence, so that a position is all the state there is.

    Example:
        >>> sorted(Stream(["a", "b"], seed=0).take(0, 2))
        ['a', 'b']
    """

    def __init__(self, items: Sequence[Item], seed: int) -> None:
        """Order ``items``; at least one is needed."""
        self._items = list(items)
        self._seed = seed
        self._orders: dict[int, list[int]] = {}

    def take(self, start: int, count: int) -> list[Item]:
        """``count`` items from place ``start`` on."""
        return [self._items[self._order(place // len(self._items))[place % len(self._items)]]
                for place in range(start, start + count)]

    def _order(self, number: int) -> list[int]:
        if number not in self._orders:
            order = list(range(len(self._items)))
            random.Random(f"{self._seed}/{number}").shuffle(order)
            self._orders = {number: order, **{key: own for key, own in self._orders.items() if key == number - 1}}
        return self._orders[number]
