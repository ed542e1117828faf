"""Ctrl-C and SIGTERM: a run ends behind the step it is in, with a checkpoint."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While the context lasts, the first signal is noted and the second one acts at once.

    Signals can be handled in the main thread alone; elsewhere nothing is noted.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        """``notice`` is told, once, that the run is about to stop."""
        self._notice = notice
        self._before: dict[int, object] = {}
        self.number: int | None = None
        """The signal that came, or ``None``."""

    def __enter__(self) -> "Interrupts":
        try:
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        except ValueError:      # another thread than the main one
            self._before = {}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise SystemExit(128 + number)
        self.number = number
        self._notice(f"{signal.Signals(number).name}: stopping behind this step; once more to stop at once")
