"""Figures for TensorBoard and kin, through accelerate's trackers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

Figures = Mapping[str, Any]
"""Numbers by name; a value may be a mapping of further numbers, or ``None`` where there is none."""


class Trackers:
    """The trackers of a run; what belongs to a name of a mapping is shown as ``name/key``."""

    def __init__(self, names: Sequence[str], run_dir: Path, start: int) -> None:
        """Open the trackers; steps from ``start`` on that an earlier process logged there are struck out.

        Raises:
            ValueError: a tracker's package is not installed.
        """
        PartialState()      # accelerate's trackers ask it which process writes
        self._trackers = [self._open(name, run_dir, start) for name in names]

    @staticmethod
    def _open(name: str, run_dir: Path, start: int) -> GeneralTracker:
        folder = {"run_name": "tensorboard", "logging_dir": str(run_dir), "purge_step": start}
        try:
            tracker = LOGGER_TYPE_TO_CLASS[name](**(folder if name == "tensorboard" else {"run_name": run_dir.name}))
            tracker.start()
        except ImportError as error:
            raise ValueError(f"tracker {name!r} needs its package ({error}); pip install {name}, or leave it out of "
                             "trackers") from error
        return tracker

    def log(self, figures: Figures, step: int) -> None:
        """Show the figures of one step."""
        flat = _flat(figures)
        for tracker in self._trackers:
            tracker.log(flat, step=step)

    def close(self) -> None:
        """Write out what is pending."""
        for tracker in self._trackers:
            tracker.finish()


def _flat(figures: Figures) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in figures.items():
        inner = {f"{name}/{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
        flat |= {key: float(item) for key, item in inner.items() if isinstance(item, int | float)}
    return flat
