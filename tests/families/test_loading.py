"""Which checkpoints load, and what is said about those that do not."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dllm_rl.families import create_model, load_model
from dllm_rl.families.loading import family_of

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
         "intermediate_size": 32, "vocab_size": 40, "max_position_embeddings": 64, "tie_word_embeddings": False}


@pytest.fixture
def checkpoint(reference_dir: Path, tmp_path: Path) -> Path:
    target = tmp_path / "ckpt"
    shutil.copytree(reference_dir / "sdar" / "ckpt", target)
    return target


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_ids_and_block_size_come_from_argument_then_config(checkpoint: Path) -> None:
    lm = load_model(checkpoint)
    assert (lm.mask_token_id, lm.eos_token_id, lm.pad_token_id, lm.block_size) == (500, 501, 501, 4)
    lm = load_model(checkpoint, mask_token_id=7, pad_token_id=8, eos_token_id=9, block_size=16)
    assert (lm.mask_token_id, lm.eos_token_id, lm.pad_token_id, lm.block_size) == (7, 9, 8, 16)


@pytest.mark.parametrize(("changes", "message"), [
    ({"model_type": "qwen3"}, "autoregressive model"),
    ({"model_type": "sdarr"}, "unknown model_type 'sdarr'.*known: Dream, dream, llada, mmada, sdar, sdar_moe"),
    ({"model_type": None}, "names no model_type"),
    ({"mask_token_id": None}, "states no mask token.*pass mask_token_id"),
    ({"block_size": None}, "no block_size.*pass block_size"),
    ({"block_size": 0}, "block_size 0 is not allowed"),
    ({"mask_token_id": 512}, "mask_token_id 512 is outside the vocabulary of 512"),
    ({"hidden_size": 32}, "do not fit its config.json|cannot be read"),
    ({"use_sliding_window": True}, r"use_sliding_window True, which family 'sdar' does not compute \(allowed: False\)"),
    ({"layer_types": ["full_attention"]}, r"config.json contradicts itself: .* `num_hidden_layers` \(3\) must be equal"),
    ({"num_hidden_layers": 5}, "do not fit its config.json.*missing_keys"),
])
def test_a_wrong_config_is_named(checkpoint: Path, changes: dict, message: str) -> None:
    edit_config(checkpoint, **changes)
    with pytest.raises(ValueError, match=message):
        load_model(checkpoint)


def test_missing_and_half_written_files_are_named(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint folder"):
        load_model(tmp_path / "nowhere")
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="half-written"):
        load_model(checkpoint)
    weights.unlink()
    with pytest.raises(ValueError, match=r"no \*.safetensors"):
        load_model(checkpoint)
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_model(checkpoint)
    (checkpoint / "config.json").unlink()
    with pytest.raises(ValueError, match="no config.json"):
        load_model(checkpoint)


def test_an_unknown_dtype_is_named(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="dtype 'float16' is not supported; use one of float32, bfloat16"):
        load_model(checkpoint, dtype="float16")


def test_a_family_is_found_by_its_model_type() -> None:
    assert family_of({"model_type": "sdar"}).name == "sdar"


def test_fresh_weights_follow_the_seed_alone() -> None:
    ids = {"mask": 1, "pad": 0, "eos": 0}
    first, same, other = (create_model("sdar", SIZES, None, ids, 4, seed).head for seed in (0, 0, 1))
    hidden = torch.ones(1, 16)
    assert first(hidden).equal(same(hidden))
    assert not first(hidden).equal(other(hidden))
