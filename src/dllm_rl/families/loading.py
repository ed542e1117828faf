"""Checkpoints in: a folder or hub id in its family's published format becomes a language model."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import PreTrainedTokenizerBase

from dllm_rl.families.backbone import (
    backbone_config,
    create_backbone,
    read_backbone,
    read_tokenizer,
)
from dllm_rl.families.family import Family
from dllm_rl.families.language_model import LanguageModel
from dllm_rl.registry import FAMILIES

_AUTOREGRESSIVE = ("qwen2", "qwen3", "qwen3_moe", "llama", "mistral")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What weights may be stored in, by its name in a configuration."""


def resolve_folder(path: str | Path) -> Path:
    """The local folder of a checkpoint: a folder, or a hub id that is downloaded (or already cached).

    Raises:
        ValueError: there is neither such a folder nor such a hub id, or it cannot be reached.
    """
    if Path(path).is_dir():
        return Path(path)
    if str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise ValueError(f"no checkpoint folder {path}; give a folder with config.json, or a hub id (owner/name)")
    try:
        return Path(snapshot_download(str(path)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(f"no folder {path}, and the hub has no such checkpoint or cannot be reached ({error}); "
                         "download it and give the folder") from error


def read_published_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint folder; ``ValueError`` if it is absent or damaged."""
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} has no config.json; is the download or the save complete?")
    try:
        config = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not valid JSON ({error}); copy or download the checkpoint again") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ValueError(f"{file} names no model_type, so its family is unknown")
    return config


def _check_weight_files(folder: Path) -> None:
    """``ValueError`` unless every file of weights is there: one, or all that the index names."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return
    if not index.is_file():
        raise ValueError(f"{folder} has neither model.safetensors nor {index.name}, which names the files of larger "
                         "weights; is the download or the save complete?")
    try:
        named = set(json.loads(index.read_text())["weight_map"].values())
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{index} is damaged ({error!r}); copy or download the checkpoint again") from error
    absent = sorted(name for name in named if not (folder / name).is_file())
    if absent:
        raise ValueError(f"{index} names {', '.join(absent)}, which {folder} does not have; is the download complete?")


def family_of(published: Mapping[str, Any]) -> Family:
    """The family of a published config, by its ``model_type``.

    Raises:
        ValueError: an autoregressive checkpoint, or a family nobody registered.
    """
    model_type = published["model_type"]
    families = [FAMILIES.load(name) for name in FAMILIES]
    for family in families:
        if model_type in family.model_types:
            return family
    if model_type in _AUTOREGRESSIVE:
        raise ValueError(f"model_type {model_type!r} is an autoregressive model, which has no mask token to denoise; "
                         "turn it into a diffusion model first (conversion is an open issue; this version has none)")
    known = ", ".join(sorted(kind for family in families for kind in family.model_types))
    raise ValueError(f"unknown model_type {model_type!r} in config.json; known: {known}")


def _special_id(kind: str, given: int | None, published: Mapping[str, Any],
                tokenizer: PreTrainedTokenizerBase | None, family: Family, vocab_size: int) -> int | None:
    """An id from argument, config, tokenizer, and last the family's published table, in this order."""
    own = published.get(f"{kind}_token_id")
    vocabulary = {} if tokenizer is None else tokenizer.get_vocab()
    if given is not None or isinstance(own, int):
        return given if given is not None else own
    if tokenizer is not None:
        texts = {"mask": family.mask_token, "pad": tokenizer.pad_token, "eos": tokenizer.eos_token}
        return vocabulary.get(texts[kind])
    table = family.special_ids[kind]
    return table if table < vocab_size else None


def load_model(path: str | Path, device: str | torch.device = "cpu", dtype: str = "float32", *,
               mask_token_id: int | None = None, pad_token_id: int | None = None, eos_token_id: int | None = None,
               block_size: int | None = None) -> LanguageModel:
    """Read a published checkpoint; its family follows from ``config.json`` alone.

    Args:
        path: a folder, or a hub id ``owner/name``.
        device: where to put the weights.
        dtype: ``"float32"`` or ``"bfloat16"``.
        mask_token_id, pad_token_id, eos_token_id: override the ids of config, tokenizer and family, in this order.
            A checkpoint without a pad id pads with eos.
        block_size: overrides the config's; a block family needs one.

    Raises:
        ValueError: an unknown family, an autoregressive model, damaged files, no mask token, no or a wrong block size.
    """
    lm = _described(path, dtype, (mask_token_id, pad_token_id, eos_token_id), block_size)
    assert lm.source is not None      # a described checkpoint stands in a folder
    _check_weight_files(lm.source)
    backbone: Any = read_backbone(lm.source, lm.backbone.config, DTYPES[dtype], lm.family.weight_names)
    return replace(lm, backbone=backbone.to(device).eval())


def outline_model(path: str | Path, dtype: str = "float32", *, mask_token_id: int | None = None,
                  pad_token_id: int | None = None, eos_token_id: int | None = None,
                  block_size: int | None = None) -> LanguageModel:
    """A published checkpoint without its weights, which need not be there: its backbone is on torch's meta device.

    Parameters have shapes but no numbers, so counts are exact, and whatever needs a model but not its weights (prompts,
    stop tokens, views, packs) can be asked as it stands. Arguments and errors as in ``load_model``.
    """
    return _described(path, dtype, (mask_token_id, pad_token_id, eos_token_id), block_size)


def _described(path: str | Path, dtype: str, given_ids: tuple[int | None, int | None, int | None],
               block_size: int | None) -> LanguageModel:
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not supported; use one of {', '.join(DTYPES)}")
    folder = resolve_folder(path)
    published = read_published_config(folder)
    family = family_of(published)
    config = backbone_config(family, published)
    tokenizer = read_tokenizer(folder, config)
    mask, pad, eos = (_special_id(kind, given, published, tokenizer, family, config.vocab_size)
                      for kind, given in zip(("mask", "pad", "eos"), given_ids, strict=True))
    if mask is None:
        raise ValueError(f"{folder} states no mask token: mask_token_id in config.json is "
                         f"{published.get('mask_token_id')!r}, and no tokenizer has {family.mask_token!r}; pass "
                         "mask_token_id=...")
    size = _block_size(family, published.get("block_size") if block_size is None else block_size, folder)
    with torch.device("meta"):
        backbone = create_backbone(config, DTYPES[dtype], family.weight_names)
    return LanguageModel(family, backbone, tokenizer, mask, eos if pad is None else pad, eos, size, published, folder)


def _block_size(family: Family, size: int | None, folder: Path) -> int | None:
    if family.attention == "full":
        return None
    if size is None:
        raise ValueError(f"{folder}/config.json has no block_size, which the {family.name} family needs; "
                         "pass block_size=... (4 for most published checkpoints)")
    if type(size) is not int or size < 1:
        raise ValueError(f"block_size {size!r} is not allowed; give an integer of 1 or more")
    return size


def create_model(family_name: str, sizes: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase | None,
                 special_ids: Mapping[str, int], block_size: int | None, seed: int = 0) -> LanguageModel:
    """A model with fresh weights.

    Args:
        family_name: registry name.
        sizes: ``config.json`` keys of the architecture as the family calls them (``hidden_size`` or ``d_model``,
            ``num_hidden_layers`` or ``n_layers``, ...).
        tokenizer: saved with the model; may be ``None``.
        special_ids: ``mask``, ``pad`` and ``eos``.
        block_size: for block families.
        seed: of the weights; torch's global generator is left as it was.

    Raises:
        ValueError: an unknown family, sizes that are absent, contradict each other or are not computed, a special id
            outside the vocabulary, no or a wrong block size.
    """
    family: Family = FAMILIES.load(family_name)
    published = {**family.published_config, **sizes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = backbone_config(family, published)
        backbone = create_backbone(config, torch.float32, family.weight_names).eval()
    return LanguageModel(family, backbone, tokenizer, special_ids["mask"], special_ids["pad"], special_ids["eos"],
                         _block_size(family, block_size, Path(family_name)), published)
