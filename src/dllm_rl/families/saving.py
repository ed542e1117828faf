"""Checkpoints out, in the published format: all of a checkpoint or, on an error, nothing."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dllm_rl.families.backbone import write_backbone, write_tokenizer
from dllm_rl.records.atomic import atomic_folder

_WEIGHT_FILES = (".safetensors", ".bin", ".index.json", ".pt")


@dataclass(frozen=True)
class Weights:
    """Weights and how they are stored.

    Attributes:
        backbone: whose weights.
        dtype: what they are stored in.
        max_shard_size: largest file, such as ``"5GB"``; more weights than that get an index file.
        masters: more precise tensors in place of the backbone's, by its names.
    """

    backbone: PreTrainedModel
    dtype: torch.dtype
    max_shard_size: str
    masters: Mapping[str, torch.Tensor] = field(default_factory=dict)


def modelling_files(source: Path | None) -> list[Path]:
    """The remote-code files a checkpoint folder brings along."""
    return sorted(source.glob("*.py")) if source else []


def _write_companions(tokenizer: PreTrainedTokenizerBase | None, source: Path | None, folder: Path) -> None:
    """Tokenizer and modelling files: the source's own, byte for byte, so that older readers find what they know."""
    if source is None:
        if tokenizer is not None:
            write_tokenizer(tokenizer, folder)
        return
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name != "config.json" and not file.name.endswith(_WEIGHT_FILES):
            shutil.copy(file, folder / file.name)


def save_checkpoint(path: str | Path, weights: Weights, config: Mapping[str, Any],
                    tokenizer: PreTrainedTokenizerBase | None, source: Path | None, card: str | None) -> None:
    """Write weights, config, tokenizer and modelling files so that upstream's loaders read them.

    The files are written beside ``path`` and moved into place at the end. An existing checkpoint there is replaced.

    Args:
        path: folder to write.
        weights: the weights.
        config: content of ``config.json``.
        tokenizer: written where there is no ``source``.
        source: folder whose tokenizer and modelling files are copied.
        card: content of ``README.md``, instead of the source's; none is written if not given.

    Raises:
        OSError: the disk is full or the folder cannot be written; what stood at ``path`` is untouched.
        ValueError: ``path`` is a file, or a folder that is no checkpoint.
    """
    target = Path(path)
    if target.exists() and not (target / "config.json").is_file() and (target.is_file() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is no checkpoint; give a new folder")
    with atomic_folder(target) as staging:
        write_backbone(weights.backbone, staging, weights.dtype, weights.max_shard_size, weights.masters)
        _write_companions(tokenizer, source, staging)
        (staging / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        if card is not None:
            (staging / "README.md").write_text(card)
