"""Tiny models of every family, in the keys its published checkpoints have, and texts to read with them."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from torch.nn.functional import cross_entropy

from dllm_rl.families import LanguageModel, create_model
from dllm_rl.families.byte_tokenizer import byte_tokenizer
from dllm_rl.registry import FAMILIES

_QWEN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 48, "vocab_size": 264, "max_position_embeddings": 128, "rope_theta": 1e6,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
_LLADA = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "mlp_hidden_size": 48, "embedding_size": 264,
          "max_sequence_length": 128}
SIZES: dict[str, dict[str, Any]] = {
    "sdar": _QWEN | {"head_dim": 16},
    "sdar_moe": _QWEN | {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    "dream": _QWEN,
    "llada": _LLADA,
    "mmada": _LLADA | {"llm_vocab_size": 200, "codebook_size": 64, "new_vocab_size": 264},
}
TIED = {"sdar": "tie_word_embeddings", "sdar_moe": "tie_word_embeddings", "dream": "tie_word_embeddings",
        "llada": "weight_tying", "mmada": "weight_tying"}
IDS = {"mask": 259, "pad": 256, "eos": 256}


def tiny(family: str, *, tokenizer: bool = False, seed: int = 0, **sizes: object) -> LanguageModel:
    """A fresh model; every weight is random, so that none that is lost or swapped can hide behind its initial value."""
    block = 4 if FAMILIES.load(family).attention == "block" else None
    lm = create_model(family, SIZES[family] | sizes, byte_tokenizer() if tokenizer else None, IDS, block, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in lm.backbone.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return lm


def learn(lm: LanguageModel, text: str, steps: int) -> None:
    """Teach a model to fill in the masked tokens of one text, a third of them at a time."""
    ids = torch.tensor(lm.tokenizer(text)["input_ids"][:64])[None]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(lm.backbone.parameters(), lr=1e-2)
    for _ in range(steps):
        masked = torch.rand((8, ids.shape[1]), generator=generator) < 0.33
        masked[:, 0] = False
        shown = torch.where(masked, lm.mask_token_id, ids)
        loss = cross_entropy(lm.logits(shown)[masked], ids.expand_as(masked)[masked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def write_byte_bpe(folder: Path, special_tokens: list[str], **settings: object) -> list[str]:
    """``vocab.json``, ``merges.txt`` and ``tokenizer_config.json`` of a small byte-level vocabulary, as published.

    Returns the tokens in order of their ids, special ones last.
    """
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("Ġw", "o"), ("1", "2")]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    added = {str(len(tokens) + number): {"content": text, "lstrip": False, "normalized": False, "rstrip": False,
                                         "single_word": False, "special": True}
             for number, text in enumerate(special_tokens)}
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "add_prefix_space": False, "added_tokens_decoder": added, "additional_special_tokens": special_tokens,
        "clean_up_tokenization_spaces": False, "errors": "replace", "model_max_length": 4096, "unk_token": None,
        **settings}))
    return [*tokens, *special_tokens]
