"""How long the phases of a step take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """A stopwatch per phase.

    Example:
        >>> phases = Phases()
        >>> with phases("rollout"):
        ...     pass
        >>> list(phases.seconds())
        ['seconds_rollout']
    """

    def __init__(self) -> None:
        """Start with no phase."""
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of the context to phase ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - start

    def add(self, other: "Phases") -> None:
        """Count another stopwatch's time in."""
        for name, spent in other._spent.items():
            self._spent[name] = self._spent.get(name, 0.0) + spent

    def seconds(self) -> dict[str, float]:
        """Seconds per phase so far, as ``seconds_NAME``."""
        return {f"seconds_{name}": spent for name, spent in self._spent.items()}

    def shares(self) -> str:
        """The phases' shares of their sum in words, the largest first."""
        whole = sum(self._spent.values()) or 1.0
        ordered = sorted(self._spent.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {spent / whole:.0%}" for name, spent in ordered)
