"""The order tasks are trained in: one seeded permutation after another, each task once per pass."""

import random
from collections.abc import Sequence

from dllm_rl.records import Task


class TaskStream:
    """Tasks by place in an endless sequence, so that a position is all the state there is.

    Example:
        >>> stream = TaskStream([Task(id="a", question="?"), Task(id="b", question="?")], seed=0)
        >>> sorted(task.id for task in stream.take(0, 2))
        ['a', 'b']
    """

    def __init__(self, tasks: Sequence[Task], seed: int) -> None:
        """Order ``tasks``; at least one is needed."""
        self._tasks = list(tasks)
        self._seed = seed
        self._orders: dict[int, list[int]] = {}

    def take(self, start: int, count: int) -> list[Task]:
        """``count`` tasks from place ``start`` on."""
        return [self._tasks[self._order(place // len(self._tasks))[place % len(self._tasks)]]
                for place in range(start, start + count)]

    def _order(self, number: int) -> list[int]:
        if number not in self._orders:
            order = list(range(len(self._tasks)))
            random.Random(f"{self._seed}/{number}").shuffle(order)
            self._orders = {number: order, **{key: own for key, own in self._orders.items() if key == number - 1}}
        return self._orders[number]
