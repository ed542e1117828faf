"""The reference model, and the same with a tokenizer that knows fewer ids than the model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dllm_rl.families import LanguageModel, create_model, load_model
from dllm_rl.registry import FAMILIES


@pytest.fixture(scope="session")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


@pytest.fixture(scope="session")
def speaking_lm(lm: LanguageModel) -> LanguageModel:
    """Words w0 to w499, then mask, eos, and a turn end; the ids 503 to 511 exist in the model alone."""
    names = [f"w{token}" for token in range(500)] + ["<|MASK|>", "<|endoftext|>", "<|im_end|>"]
    words = Tokenizer(models.WordLevel({name: token for token, name in enumerate(names)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="<|endoftext|>",
                                        additional_special_tokens=["<|MASK|>", "<|im_end|>"])
    return replace(lm, tokenizer=tokenizer)


def tiny_lm(family: str, reference_dir: Path, **sizes: int) -> LanguageModel:
    """A random model with weights as large as those of the recorded ones, so that its decisions are not near ties."""
    folder = reference_dir / family / "ckpt"
    published = json.loads(((folder if folder.is_dir() else reference_dir / "llada" / "ckpt") / "config.json").read_text())
    lm = create_model(family, {**published, **sizes}, None, {"mask": 500, "pad": 490, "eos": 490}, None)
    with torch.no_grad():
        for weight in lm.backbone.parameters():
            weight.mul_(10 if weight.dim() > 1 else 1)
    return lm


@pytest.fixture(scope="session")
def full_lms(reference_dir: Path) -> dict[str, LanguageModel]:
    """A tiny model of every full-attention family."""
    families = [name for name in FAMILIES if FAMILIES.load(name).attention == "full"]
    folders = {name: reference_dir / name / "ckpt" for name in families}
    return {name: load_model(folder) if folder.is_dir() else tiny_lm(name, reference_dir)
            for name, folder in folders.items()}


@pytest.fixture(scope="session")
def block_lms(reference_dir: Path) -> dict[str, LanguageModel]:
    """The recorded model of every block family."""
    found = {}
    for name in FAMILIES:
        if FAMILIES.load(name).attention == "block":
            index = json.loads((reference_dir / name / "goldens.json").read_text())
            ids = {key: index[key] for key in ("mask_token_id", "pad_token_id", "eos_token_id")}
            found[name] = load_model(reference_dir / name / "ckpt", block_size=4, **ids)
    return found
