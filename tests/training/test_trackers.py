"""Figures for TensorBoard."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dllm_rl.training.trackers import Trackers


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(path / "tensorboard")).Reload()
    return {tag: [(item.step, item.value) for item in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_figures_and_what_a_continued_run_strikes_out(tmp_path: Path) -> None:
    with closing(Trackers(["tensorboard"], tmp_path, 0)) as trackers:
        for step in range(4):
            trackers.log({"loss": step / 2, "count": step, "nothing": None, "by": {"low": 1.0, "high": None}}, step)
    with closing(Trackers(["tensorboard"], tmp_path, 2)) as trackers:
        trackers.log({"loss": 7.0}, 2)
    assert scalars(tmp_path) == {"loss": [(0, 0.0), (1, 0.5), (2, 7.0)], "count": [(0, 0.0), (1, 1.0)],
                                 "by/low": [(0, 1.0), (1, 1.0)]}


def test_no_tracker_writes_nothing(tmp_path: Path) -> None:
    with closing(Trackers([], tmp_path, 0)) as trackers:
        trackers.log({"loss": 1.0}, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)      # an import of it now fails as if it were not installed
    with pytest.raises(ValueError, match="tracker 'trackio' needs its package .*pip install trackio"):
        Trackers(["trackio"], tmp_path, 0)
