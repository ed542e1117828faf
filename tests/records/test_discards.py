"""The record of discards."""

from pathlib import Path

import pytest

from dllm_rl.records import Discards, Rollout
from dllm_rl.records.storage import read_records, write_records


def test_a_step_adds_its_discards() -> None:
    found = Discards()
    found.add(3, [1, 4], [10, 11])
    found.add(4, [4], [12])
    assert found == Discards(steps=[3, 3, 4], places=[1, 4, 4], ids=[10, 11, 12])


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="have 1, 2 and 0 entries; they must be equally long"):
        Discards(steps=[1], places=[1, 2])


def test_discards_are_stored_with_their_rollout(tmp_path: Path) -> None:
    rollouts = [Rollout([1], [2], [1], discards=Discards([1], [0], [7])), Rollout([1], [2], [1])]
    write_records(tmp_path / "r.parquet", rollouts)
    assert read_records(tmp_path / "r.parquet") == rollouts
