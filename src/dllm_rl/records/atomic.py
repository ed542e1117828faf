"""Files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

_PARTIAL, _ASIDE = ".partial-", "-old"


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and move it there; what stood there before is replaced."""
    with atomic_file(path) as staging:
        staging.write_text(text)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of ``path`` when the context ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{_PARTIAL}", dir=path.parent)
    os.close(handle)
    staging = Path(name)
    try:
        yield staging
        os.chmod(staging, 0o644)
        _to_disk(staging)
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``path`` when the context ends without an error.

    Raises:
        OSError: something could not be written; what stood at ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}{_PARTIAL}", dir=path.parent))
    try:
        yield staging
        os.chmod(staging, 0o755)
        for file in sorted(staging.iterdir()):
            os.chmod(file, 0o644)      # some writers leave files only their owner can read
            _to_disk(file)
        _take_place(staging, path)
    except SafetensorError as error:
        raise OSError(f"{path} could not be written ({error}); is the disk full? What stood there is untouched") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _take_place(staging: Path, path: Path) -> None:
    """Move a finished folder into place; the old one is set aside first and removed last."""
    aside = staging.with_name(staging.name + _ASIDE)
    if path.exists():
        os.rename(path, aside)
    try:
        os.rename(staging, path)
    except OSError:
        if aside.exists():
            os.rename(aside, path)
        raise
    _to_disk(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Have the system write out a file or folder, so that a power cut after the move finds it whole."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partial(folder: Path) -> None:
    """Remove what a killed process was writing in ``folder``; only when no other process writes there.

    What it had set aside for a new version that did not come is put back.
    """
    for path in folder.glob(f".*{_PARTIAL}*"):
        target = folder / path.name[1:].partition(_PARTIAL)[0]
        if path.name.endswith(_ASIDE) and not target.exists():
            os.rename(path, target)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
