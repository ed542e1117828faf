"""Checkpoints a run goes on from."""

from pathlib import Path

import pytest
import torch

from dllm_rl.training.states import StateStore

WEIGHTS = {"a": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(), "b": torch.tensor([1.5])}


def filled(path: Path, steps: tuple[int, ...], keep_last: int = 5) -> StateStore:
    store = StateStore(path)
    for step in steps:
        store.write(step, {"num_updates": 2 * step}, {"weights": WEIGHTS}, keep_last)
    return store


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = filled(tmp_path, (3,)).read(3)
    assert (state.step, state.values["num_updates"]) == (3, 6)
    assert all(torch.equal(state.tensors["weights"][name], tensor) for name, tensor in WEIGHTS.items())


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    assert filled(tmp_path, (1, 2, 10, 1000001), keep_last=2).steps() == [10, 1000001]
    assert StateStore(tmp_path / "absent").steps() == []
    (tmp_path / "step-000010-copy").mkdir()
    assert StateStore(tmp_path).steps() == [10, 1000001]


def test_a_step_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no checkpoint of step 4; it has 1, 2"):
        filled(tmp_path, (1, 2)).read(4)


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json"])
def test_one_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    store = filled(tmp_path, (1,))
    file = tmp_path / "step-000001" / name
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=f"is damaged: {name} is not what was written. Restore it, or remove"):
        store.read(1)


def test_an_absent_file_is_found(tmp_path: Path) -> None:
    store = filled(tmp_path, (1,))
    (tmp_path / "step-000001/weights.safetensors").unlink()
    with pytest.raises(ValueError, match="weights.safetensors is absent"):
        store.read(1)
    (tmp_path / "step-000001/manifest.json").unlink()
    with pytest.raises(ValueError, match="is damaged: manifest.json"):
        store.read(1)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.write(1, {"schema_version": 9}, {}, 1)
    with pytest.raises(ValueError, match="has schema_version 9; this version reads 1"):
        store.read(1)


def test_half_written_checkpoints_are_no_checkpoints(tmp_path: Path) -> None:
    store = filled(tmp_path, (1,))
    (tmp_path / ".step-000002.partial-abc").mkdir()
    assert store.steps() == [1]
    store.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
