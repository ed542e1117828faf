"""Entries of the reference vectors with their arrays in place of array names."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file


def entries(reference_dir: Path, family: str, section: str) -> dict[str, dict[str, Any]]:
    """The entries of a section by name; every string that names an array is replaced by the array."""
    index = json.loads((reference_dir / family / "goldens.json").read_text())
    arrays = load_file(reference_dir / family / "goldens.safetensors")
    return {entry["name"]: {key: arrays.get(value, value) if isinstance(value, str) else value
                            for key, value in entry.items()} for entry in index[section]}
