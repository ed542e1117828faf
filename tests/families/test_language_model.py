"""Whole sequences through the reference checkpoint."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from dllm_rl.families import LanguageModel, load_model
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import tiny

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


ROWS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=4)
TINY = {name: tiny(name) for name in sorted(FAMILIES)}


def padded(lm: LanguageModel, rows: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of rows of a length each, behind some pads and before what is needed to make them equally long."""
    width = max(length + left for length, left in rows)
    ids, real = torch.full((len(rows), width), lm.pad_token_id), torch.zeros(len(rows), width, dtype=torch.long)
    for number, (length, left) in enumerate(rows):
        ids[number, left:left + length] = 10 + 20 * number + torch.arange(length)
        real[number, left:left + length] = 1
    return ids, real


@pytest.mark.parametrize("name", sorted(FAMILIES))
@settings(max_examples=25)
@given(rows=ROWS, data=st.data())
def test_pads_and_neighbours_change_nothing(name: str, rows: list[tuple[int, int]], data: st.DataObject) -> None:
    lm = TINY[name]
    ids, real = padded(lm, rows)
    with torch.no_grad():
        together = lm.logits(ids, real)
        for number in range(len(rows)):
            seen = real[number].bool()
            alone = lm.logits(ids[number, seen][None])[0]
            # Sums over keys are taken in another order where there are pads.
            torch.testing.assert_close(together[number, seen], alone, atol=2e-5, rtol=0)
        order = torch.tensor(data.draw(st.permutations(range(len(rows)))))
        shuffled = lm.logits(ids[order], real[order])
    seen = real[order].bool()
    torch.testing.assert_close(shuffled[seen], together[order][seen], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_what_stands_at_a_pad_is_not_read(name: str) -> None:
    lm = TINY[name]
    ids, real = padded(lm, [(5, 2), (3, 0)])
    other = torch.where(real.bool(), ids, 77)
    # Exact for attention; experts work on all tokens that chose them at once, so their sums round by what pads choose.
    torch.testing.assert_close(lm.logits(ids, real)[real.bool()], lm.logits(other, real)[real.bool()], atol=2e-5, rtol=0)


def test_the_first_real_token_of_a_shifted_family_takes_its_own_logits() -> None:
    lm = TINY["dream"]
    ids, real = padded(lm, [(4, 3)])
    shifted = lm.logits(ids, real)[0, 3:]
    unshifted = replace(lm, family=replace(lm.family, logit_shift=0))
    plain = unshifted.logits(ids, real)[0, 3:]
    assert torch.equal(shifted[0], plain[0])
    assert torch.equal(shifted[1:], plain[:-1])


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
