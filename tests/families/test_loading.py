"""Which checkpoints load, and what is said about those that do not."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from dllm_rl.families import create_model, load_model, outline_model
from dllm_rl.families.loading import family_of
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import SIZES as SIZES_OF
from tests.families.checkpoints import tiny

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
    ({"block_size": True}, "block_size True is not allowed; give an integer"),
    ({"mask_token_id": "500"}, "mask_token_id in config.json is '500'.*pass mask_token_id"),
    ({"eos_token_id": -1}, "eos_token_id -1 is outside the vocabulary of 512"),
    ({"hidden_size": 32}, "do not fit its config.json: {'mismatched_keys': .*embed_tokens"),
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
    with pytest.raises(ValueError, match=r"has neither model.safetensors nor model.safetensors.index.json"):
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


@pytest.mark.parametrize(("family", "changes", "message"), [
    ("sdar_moe", {"attention_bias": True}, "attention_bias True, which family 'sdar_moe' does not compute"),
    ("sdar_moe", {"num_experts": 5}, "do not fit its config.json: {'mismatched_keys'"),
    ("dream", {"use_mrope": True}, r"use_mrope True, which family 'dream' does not compute \(allowed: False\)"),
    ("dream", {"mask_token_id": 264}, "mask_token_id 264 is outside the vocabulary of 264"),
    ("dream", {"hidden_size": "wide"}, "contradicts itself: .*hidden_size"),
    ("llada", {"alibi": True}, "alibi True, which family 'llada' does not compute"),
    ("llada", {"block_type": "sequential"}, r"block_type 'sequential', .* \(allowed: 'llama'\)"),
    ("llada", {"n_heads": None}, "lacks n_heads, which family 'llada' needs"),
    ("llada", {"n_heads": 5}, r"contradicts itself: .*not a multiple of the number of attention heads \(5\)"),
    ("llada", {"n_kv_heads": 4}, "do not fit its config.json: {'mismatched_keys': .*k_proj"),
    ("mmada", {"rope": False}, "rope False, which family 'mmada' does not compute"),
    ("mmada", {"mask_token_id": None}, "states no mask token: mask_token_id in config.json is None"),
])
def test_a_wrong_config_of_any_family_is_named(family: str, changes: dict, message: str, tmp_path: Path) -> None:
    tiny(family).save(tmp_path / "out")
    edit_config(tmp_path / "out", **changes)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "out")


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "qwen3_moe", "llama", "mistral"])
def test_an_autoregressive_checkpoint_is_refused(kind: str, checkpoint: Path) -> None:
    edit_config(checkpoint, model_type=kind)
    with pytest.raises(ValueError, match=f"model_type '{kind}' is an autoregressive model, which has no mask token"):
        load_model(checkpoint)


def test_shards_that_are_absent_or_damaged_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    tiny("llada").save(folder, max_shard_size="40KB")
    index, second = folder / "model.safetensors.index.json", sorted(folder.glob("*.safetensors"))[1]
    whole = second.read_bytes()
    for damaged in (whole[:-100], b""):
        second.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read .* may be half-written"):
            load_model(folder)
    second.unlink()
    with pytest.raises(ValueError, match=rf"index.json names {second.name}, which .* does not have"):
        load_model(folder)
    assert outline_model(folder).vocab_size == 264    # asks for no weights
    for text in ("{", "{}", "[]", '{"weight_map": 3}'):
        index.write_text(text)
        with pytest.raises(ValueError, match="index.json is damaged"):
            load_model(folder)
    index.unlink()
    with pytest.raises(ValueError, match="has neither model.safetensors nor"):
        load_model(folder)


def test_a_hub_id_is_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--someone--tiny"
    tiny("dream").save(repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert load_model("someone/tiny").family.name == "dream"
    with pytest.raises(ValueError, match="no folder someone/other, and the hub has no such checkpoint or cannot be"):
        load_model("someone/other")


def test_rope_scaling_is_computed_and_kept_as_it_was_published(tmp_path: Path) -> None:
    scaling = {"rope_type": "yarn", "factor": 4.0}
    tiny("sdar", rope_scaling=scaling).save(tmp_path / "out")
    lm = load_model(tmp_path / "out")
    assert lm.backbone.config.rope_parameters["factor"] == 4.0
    lm.save(tmp_path / "again")
    for name in ("out", "again"):
        assert json.loads((tmp_path / name / "config.json").read_text())["rope_scaling"] == scaling


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_create_model_names_what_is_wrong(name: str) -> None:
    ids, block = {"mask": 1, "pad": 0, "eos": 0}, 4 if FAMILIES.load(name).attention == "block" else None
    with pytest.raises(ValueError, match="mask_token_id 264 is outside the vocabulary of 264"):
        create_model(name, SIZES_OF[name], None, ids | {"mask": 264}, block)
    if block:
        with pytest.raises(ValueError, match="no block_size"):
            create_model(name, SIZES_OF[name], None, ids, None)
    key = next(iter(FAMILIES.load(name).required))
    with pytest.raises(ValueError, match=f"{key} 'other', which family '{name}' does not compute"):
        create_model(name, SIZES_OF[name] | {key: "other"}, None, ids, block)


def test_special_ids_come_from_the_tokenizer_then_from_the_table(tmp_path: Path) -> None:
    tiny("sdar", tokenizer=True).save(tmp_path / "out")
    edit_config(tmp_path / "out", mask_token_id=None, pad_token_id=None, eos_token_id=None)
    lm = load_model(tmp_path / "out")
    assert (lm.mask_token_id, lm.pad_token_id, lm.eos_token_id) == (259, 256, 256)
    tiny("dream").save(tmp_path / "large")
    edit_config(tmp_path / "large", mask_token_id=None, pad_token_id=None, eos_token_id=None, vocab_size=151936)
    lm = outline_model(tmp_path / "large")
    assert (lm.mask_token_id, lm.pad_token_id, lm.eos_token_id) == (151666, 151643, 151645)
