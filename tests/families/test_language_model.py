"""Whole sequences through the reference checkpoint."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dllm_rl.families import LanguageModel, load_model

ENTRIES = ["full_L11", "block4_L29", "block8_L20", "leftpad_block4_L18"]


@pytest.fixture(scope="module")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


@pytest.mark.parametrize("name", ENTRIES)
def test_reference_logits(lm: LanguageModel, reference_dir: Path, name: str) -> None:
    index = json.loads((reference_dir / "sdar" / "goldens.json").read_text())
    arrays = load_file(reference_dir / "sdar" / "goldens.safetensors")
    entry = next(entry for entry in index["logits"] if entry["name"] == name)
    ids = arrays[entry["input_ids"]]
    real = torch.ones_like(ids)
    for row, pads in enumerate(entry["pads"] or []):
        real[row, :pads] = 0
    with torch.no_grad():
        ours = lm.logits(ids, real, entry["block_length"] or "full")
    torch.testing.assert_close(ours[real.bool()], arrays[entry["logits"]][real.bool()], atol=1e-4, rtol=0)


def test_the_reference_covers_these_entries(reference_dir: Path) -> None:
    index = json.loads((reference_dir / "sdar" / "goldens.json").read_text())
    assert [entry["name"] for entry in index["logits"]] == ENTRIES


def test_pads_on_either_side_change_nothing(lm: LanguageModel) -> None:
    ids = torch.arange(20, 33)[None]
    plain = lm.logits(ids)
    pad = torch.full((1, 3), lm.pad_token_id)
    ones, zeros = torch.ones_like(ids), torch.zeros_like(pad)
    left = lm.logits(torch.cat([pad, ids], 1), torch.cat([zeros, ones], 1))[:, 3:]
    right = lm.logits(torch.cat([ids, pad], 1), torch.cat([ones, zeros], 1))[:, :-3]
    torch.testing.assert_close(left, plain, atol=2e-5, rtol=0)
    torch.testing.assert_close(right, plain, atol=2e-5, rtol=0)


def test_blocks_of_one_are_causal(lm: LanguageModel) -> None:
    ids = torch.arange(20, 30)[None]
    changed = ids.clone()
    changed[0, -1] = 99
    assert torch.equal(lm.logits(ids, block_size=1)[:, :-1], lm.logits(changed, block_size=1)[:, :-1])
    assert not torch.equal(lm.logits(ids, block_size="full")[:, :-1], lm.logits(changed, block_size="full")[:, :-1])


@pytest.mark.parametrize(("arguments", "message"), [
    ({"input_ids": torch.tensor([1, 2])}, r"shape \(B, L\)"),
    ({"input_ids": torch.tensor([[1, 512]])}, r"span 1..512, the vocabulary is 0..511"),
    ({"input_ids": torch.tensor([[-1, 5]])}, r"span -1..5"),
    ({"input_ids": torch.tensor([[1, 2]]), "attention_mask": torch.ones(1, 3)}, r"attention_mask has shape \(1, 3\)"),
    ({"input_ids": torch.tensor([[1, 2]]), "block_size": 0}, r"block_size 0 is not allowed"),
])
def test_wrong_input_is_named(lm: LanguageModel, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lm.logits(**arguments)


def test_the_mask_token_may_not_be_drawn(lm: LanguageModel) -> None:
    assert lm.allowed_ids.sum() == lm.vocab_size - 1
    assert not lm.allowed_ids[lm.mask_token_id]
