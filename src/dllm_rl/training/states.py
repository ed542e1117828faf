"""Checkpoints a run goes on from: everything, verified when read, the newest few kept.

A checkpoint is a folder ``step-000050`` of safetensors files, ``state.json`` and ``manifest.json`` with the size and
SHA-256 of every other file. It appears whole or not at all.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from dllm_rl.records.atomic import atomic_folder, remove_partial

SCHEMA_VERSION = 1
_MANIFEST, _STATE = "manifest.json", "state.json"

Tensors = Mapping[str, Mapping[str, Tensor]]
"""Files by name, in each its tensors by name."""


@dataclass(frozen=True)
class StoredState:
    """A checkpoint as read.

    Attributes:
        step: steps made before it.
        values: plain values.
        tensors: tensors by file and name, on the CPU.

    Example: ``StoredState(50, {"num_updates": 200}, {"weights": {...}, "moments": {...}, "random": {...}})``
    """

    step: int
    values: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class StateStore:
    """The checkpoints of one run."""

    def __init__(self, path: Path) -> None:
        """Keep checkpoints in ``path``, which is made when the first is written."""
        self.path = path

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        return sorted(int(own.name.removeprefix("step-")) for own in self.path.glob("step-*")
                      if own.name.removeprefix("step-").isdecimal())

    def write(self, step: int, values: Mapping[str, Any], tensors: Tensors, keep_last: int) -> None:
        """Add the checkpoint of ``step``, then remove all but the newest ``keep_last``.

        Raises:
            OSError: the disk is full or cannot be written; earlier checkpoints are as before.
        """
        with atomic_folder(self._folder(step)) as staging:
            for name, own in tensors.items():
                save_file({key: tensor.contiguous() for key, tensor in own.items()}, staging / f"{name}.safetensors")
            (staging / _STATE).write_text(json.dumps({"schema_version": SCHEMA_VERSION, "step": step, **values}) + "\n")
            files = {file.name: _fingerprint(file) for file in sorted(staging.iterdir())}
            (staging / _MANIFEST).write_text(json.dumps(files, indent=2) + "\n")
        for old in self.steps()[:-keep_last]:
            shutil.rmtree(self._folder(old))

    def read(self, step: int) -> StoredState:
        """The checkpoint of ``step``.

        Raises:
            ValueError: there is none, or a file of it is absent or not what was written.
        """
        folder = self._folder(step)
        if not folder.is_dir():
            raise ValueError(f"{self.path} has no checkpoint of step {step}; it has "
                             f"{', '.join(map(str, self.steps())) or 'none'}")
        _verify(folder)
        values = json.loads((folder / _STATE).read_text())
        if values["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"{folder} has schema_version {values['schema_version']}; this version reads "
                             f"{SCHEMA_VERSION}: go on with the version of dllm-rl that wrote it")
        return StoredState(step, values, {file.stem: load_file(file) for file in folder.glob("*.safetensors")})

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        remove_partial(self.path)

    def _folder(self, step: int) -> Path:
        return self.path / f"step-{step:06d}"


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _verify(folder: Path) -> None:
    try:
        files = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(_damaged(folder, _MANIFEST, str(error))) from error
    for name, written in files.items():
        file = folder / name
        found = _fingerprint(file) if file.is_file() else None
        if found != written:
            raise ValueError(_damaged(folder, name, "is absent" if found is None else "is not what was written"))


def _damaged(folder: Path, name: str, problem: str) -> str:
    return (f"{folder} is damaged: {name} {problem}. Restore it, or remove the folder to go on from an earlier "
            "checkpoint or from the start")
