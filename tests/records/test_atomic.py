"""Files and folders that appear whole or not at all."""

import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dllm_rl.records.atomic import atomic_file, atomic_folder, remove_partial, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_only_when_all_went_well(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b.txt", "old")
    with pytest.raises(RuntimeError, match="stop"), atomic_file(tmp_path / "a/b.txt") as staging:
        staging.write_text("half")
        raise RuntimeError("stop")
    assert (tmp_path / "a/b.txt").read_text() == "old"
    write_text(tmp_path / "a/b.txt", "new")
    assert (tmp_path / "a/b.txt").read_text() == "new"
    assert names(tmp_path / "a") == ["b.txt"]
    assert (tmp_path / "a/b.txt").stat().st_mode & 0o777 == 0o644


def test_a_folder_is_replaced_only_when_all_went_well(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "f") as staging:
            (staging / text).write_text(text)
        assert names(tmp_path / "f") == [text]
    with pytest.raises(RuntimeError, match="stop"), atomic_folder(tmp_path / "f") as staging:
        (staging / "half").write_text("half")
        raise RuntimeError("stop")
    assert names(tmp_path / "f") == ["new"]
    assert names(tmp_path) == ["f"]


def test_a_full_disk_leaves_what_stood_there(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does: inside a write."""
    with atomic_folder(tmp_path / "f") as staging:
        (staging / "old").write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="could not be written"), atomic_folder(tmp_path / "f") as staging:
            save_file({"a": torch.zeros(100_000)}, staging / "a.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert names(tmp_path / "f") == ["old"]
    assert names(tmp_path) == ["f"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".f.partial-abc").mkdir()
    (tmp_path / ".f.partial-abc/half").write_text("half")
    (tmp_path / ".g.json.partial-xyz").write_text("half")
    (tmp_path / "kept").write_text("kept")
    (tmp_path / ".hidden").write_text("kept")
    remove_partial(tmp_path)
    assert names(tmp_path) == [".hidden", "kept"]
    remove_partial(tmp_path / "absent")


def test_what_was_set_aside_is_put_back(tmp_path: Path) -> None:
    """A process killed between the two moves of a replacement."""
    (tmp_path / ".f.partial-abc-old").mkdir()
    (tmp_path / ".f.partial-abc-old/whole").write_text("whole")
    (tmp_path / ".f.partial-abc").mkdir()
    remove_partial(tmp_path)
    assert names(tmp_path) == ["f"] and names(tmp_path / "f") == ["whole"]
    (tmp_path / ".f.partial-xyz-old").mkdir()
    remove_partial(tmp_path)
    assert names(tmp_path / "f") == ["whole"] and names(tmp_path) == ["f"]


def test_files_of_a_folder_can_be_read_by_others(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "f") as staging:
        save_file({"a": torch.zeros(1)}, staging / "a.safetensors")
    assert (tmp_path / "f/a.safetensors").stat().st_mode & 0o777 == 0o644
