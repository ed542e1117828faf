"""Reading reference vectors: ``goldens.json`` (the index), ``goldens.safetensors`` (the arrays), ``ckpt`` (a model)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

INDEX, ARRAYS = "goldens.json", "goldens.safetensors"


@dataclass(frozen=True)
class Entry:
    """One entry of the index with its arrays.

    Attributes:
        section: ``logits``, ``generation``, ``training``, ...
        name: unique within the section.
        fields: the entry as it stands in the index.
        arrays: all arrays of the folder.
        index: the whole index, which holds inputs that entries share.
    """

    section: str
    name: str
    fields: dict[str, Any]
    arrays: dict[str, Tensor]
    index: dict[str, Any]

    def array(self, field: str) -> Tensor:
        """The array a field of the entry names.

        Raises:
            ValueError: the entry has no such field, or the array file no such array.
        """
        key = self.fields.get(field)
        if not isinstance(key, str):
            raise ValueError(f"{self.section}/{self.name} names no array {field!r}")
        if key not in self.arrays:
            raise ValueError(f"{self.section}/{self.name}: array {key!r} is not in {ARRAYS}")
        return self.arrays[key]

    def stored(self, key: str) -> Tensor | None:
        """An array that the index does not list; ``None`` if the folder has none of this name."""
        return self.arrays.get(key)

    def optional_array(self, field: str) -> Tensor | None:
        """As ``array``; ``None`` where the index says the array is not stored."""
        return None if self.fields.get(field) is None else self.array(field)


@dataclass(frozen=True)
class Reference:
    """One family's folder of vectors."""

    folder: Path
    index: dict[str, Any]
    arrays: dict[str, Tensor]

    @property
    def name(self) -> str:
        """The folder's name, which ``only=`` selects by."""
        return self.folder.name

    @property
    def checkpoint(self) -> Path:
        """Folder of the tiny model."""
        return self.folder / str(self.index["checkpoint"])

    def sections(self) -> dict[str, list[Entry]]:
        """All entries by section, in the order of the index."""
        return {section: [Entry(section, entry["name"], entry, self.arrays, self.index) for entry in entries]
                for section, entries in self.index.items()
                if isinstance(entries, list) and entries and isinstance(entries[0], dict) and "name" in entries[0]}


def read_reference(folder: Path) -> Reference:
    """Read one family folder; ``ValueError`` if a file is absent or damaged."""
    try:
        index = json.loads((folder / INDEX).read_text())
        arrays = load_file(folder / ARRAYS)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is no folder of reference vectors: {error.filename} is missing") from error
    except (json.JSONDecodeError, SafetensorError) as error:
        raise ValueError(f"the reference vectors in {folder} are damaged: {error}") from error
    return Reference(folder, index, arrays)


def find_references(folder: Path) -> list[Reference]:
    """The family folders at ``folder``: itself, or those directly in it; ``ValueError`` if there are none."""
    found = [folder] if (folder / INDEX).is_file() else sorted(path.parent for path in folder.glob(f"*/{INDEX}"))
    if not found:
        raise ValueError(f"{folder} holds no {INDEX}; give a family folder of reference vectors or a folder of them")
    return [read_reference(path) for path in found]
