"""Checkpoints out: the published format, all or nothing."""

import errno
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dllm_rl.families import LanguageModel, create_model, load_model, saving
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import TIED, tiny
from tests.families.test_loading import SIZES

UPSTREAM_ONLY = {"attn_implementation", "debug", "ep_size", "fuse_cross_entropy", "micro_forward", "skip_checkpoint",
                 "use_deepep", "transformers_version"}
"""Keys of the reference checkpoints that say how they were trained, not what they are."""
LIKE_LLADA = {"mmada": "llada"}  # there is no reference folder of mmada, whose trunk is llada's


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def assert_equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name


def assert_same_model(ours: LanguageModel, theirs: LanguageModel) -> None:
    assert_equal(ours.backbone.state_dict(), theirs.backbone.state_dict())
    assert (ours.family, ours.block_size, ours.mask_token_id) == (theirs.family, theirs.block_size, theirs.mask_token_id)
    ids = torch.arange(2, 15)[None]
    assert torch.equal(ours.logits(ids), theirs.logits(ids))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_fresh_weights_come_back_and_go_out_again_equal(name: str, tmp_path: Path) -> None:
    made = tiny(name)
    made.save(tmp_path / "first")
    loaded = load_model(tmp_path / "first")
    assert_same_model(loaded, made)
    loaded.save(tmp_path / "second")
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_fresh_weights_have_the_published_keys(name: str, reference_dir: Path, tmp_path: Path) -> None:
    published = reference_dir / LIKE_LLADA.get(name, name) / "ckpt"
    tiny(name).save(tmp_path / "out")
    ours, theirs = ({(re.sub(r"\.\d+\.", ".N.", key), tensor.dim()) for key, tensor in weights(folder).items()}
                    for folder in (tmp_path / "out", published))
    assert ours == theirs
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "out", published))
    assert theirs.keys() - ours.keys() <= UPSTREAM_ONLY
    more = {"mmada": {"llm_vocab_size", "codebook_size", "new_vocab_size"}}
    assert ours.keys() - theirs.keys() <= {"pad_token_id", "mask_token_id", "block_size", *more.get(name, ())}
    assert ours["vocab_size"] == 264
    if name not in LIKE_LLADA:
        assert (ours["architectures"], ours["model_type"]) == (theirs["architectures"], theirs["model_type"])


@pytest.mark.parametrize("name", ["sdar", "sdar_moe", "dream", "llada"])
def test_a_reference_checkpoint_comes_back_byte_for_byte(name: str, reference_dir: Path, tmp_path: Path) -> None:
    source = reference_dir / name / "ckpt"
    given = {"mask_token_id": 500, "block_size": 4} if name == "sdar_moe" else {}
    load_model(source, **given).save(tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "out", source))
    assert ours == theirs | given


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_tied_embeddings_are_stored_once_and_stay_tied(name: str, tmp_path: Path) -> None:
    made = tiny(name, **{TIED[name]: True})
    made.save(tmp_path / "out")
    assert sum(tensor.shape == (264, 32) for tensor in weights(tmp_path / "out").values()) == 1
    loaded = load_model(tmp_path / "out")
    assert loaded.backbone.get_output_embeddings().weight is loaded.backbone.get_input_embeddings().weight
    assert_same_model(loaded, made)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_shards_and_their_index_go_out_and_come_in(name: str, tmp_path: Path) -> None:
    made = tiny(name)
    made.save(tmp_path / "whole")
    made.save(tmp_path / "out", max_shard_size="40KB")
    files = sorted(file.name for file in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 2
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())["weight_map"]
    assert sorted(set(index.values())) == files
    assert index.keys() == weights(tmp_path / "whole").keys()
    assert_equal(weights(tmp_path / "out"), weights(tmp_path / "whole"))
    loaded = load_model(tmp_path / "out")
    assert_same_model(loaded, made)
    loaded.save(tmp_path / "out")   # one file takes the place of many
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_bfloat16_is_the_rounded_weights(name: str, tmp_path: Path) -> None:
    made = tiny(name)
    made.save(tmp_path / "full")
    made.save(tmp_path / "half", torch.bfloat16)
    assert json.loads((tmp_path / "half/config.json").read_text())["torch_dtype"] == "bfloat16"
    rounded = {key: tensor.bfloat16() for key, tensor in weights(tmp_path / "full").items()}
    assert_equal(weights(tmp_path / "half"), rounded)
    assert made.dtype == torch.float32
    load_model(tmp_path / "half", dtype="bfloat16").save(tmp_path / "again")
    assert_equal(weights(tmp_path / "again"), rounded)
    assert load_model(tmp_path / "half").dtype == torch.float32


@pytest.mark.parametrize(("settings", "sparse"), [
    ({"mlp_only_layers": [0]}, {1}), ({"decoder_sparse_step": 2}, {1}), ({"mlp_only_layers": [1], "num_experts": 3}, {0}),
    ({"mlp_only_layers": [0, 1]}, set())])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dense_layers_of_a_mixture(settings: dict, sparse: set[int], dtype: torch.dtype, tmp_path: Path) -> None:
    made = tiny("sdar_moe", **settings)
    made.save(tmp_path / "out", dtype)
    named = weights(tmp_path / "out")
    assert {layer for layer in (0, 1) if f"model.layers.{layer}.mlp.experts.0.gate_proj.weight" in named} == sparse
    assert {layer for layer in (0, 1) if f"model.layers.{layer}.mlp.gate_proj.weight" in named} == {0, 1} - sparse
    loaded = load_model(tmp_path / "out", dtype=str(dtype).removeprefix("torch."))
    assert_equal(loaded.backbone.state_dict(), made.backbone.to(dtype).state_dict())
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert {key: config[key] for key in settings} == settings


def test_llada_with_fewer_key_heads(tmp_path: Path) -> None:
    tiny("llada").save(tmp_path / "out")
    named = weights(tmp_path / "out")
    assert named["model.transformer.blocks.1.q_proj.weight"].shape == (32, 32)
    assert named["model.transformer.blocks.1.k_proj.weight"].shape == (16, 32)


def test_a_card_is_written_and_the_sources_own_is_kept_without_one(tmp_path: Path) -> None:
    tiny("sdar").save(tmp_path / "first", card="# first\n")
    lm = load_model(tmp_path / "first")
    lm.save(tmp_path / "second")
    lm.save(tmp_path / "third", card="# third\n")
    assert [(tmp_path / name / "README.md").read_text() for name in ("second", "third")] == ["# first\n", "# third\n"]


def test_what_was_overridden_is_written(reference_dir: Path, tmp_path: Path) -> None:
    load_model(reference_dir / "sdar" / "ckpt", block_size=8, dtype="bfloat16").save(tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["block_size"], config["torch_dtype"]) == (8, "bfloat16")
    assert load_model(tmp_path / "out").block_size == 8


def test_a_model_made_here_has_the_keys_old_readers_want(tmp_path: Path) -> None:
    made = create_model("sdar", SIZES | {"rope_theta": 5e5}, None, {"mask": 1, "pad": 0, "eos": 0}, 4)
    made.save(tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    expected = {"architectures": ["SDARForCausalLM"], "model_type": "sdar", "rope_theta": 5e5, "mask_token_id": 1,
                "block_size": 4, "torch_dtype": "float32", "rms_norm_eps": 1e-6}
    assert {key: config[key] for key in expected} == expected
    loaded, ids = load_model(tmp_path / "out"), torch.arange(2, 12)[None]
    assert torch.equal(loaded.logits(ids), made.logits(ids))


def test_modelling_files_travel_and_auto_map_goes_without_them(reference_dir: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(reference_dir / "sdar" / "ckpt", source)
    config = json.loads((source / "config.json").read_text()) | {"auto_map": {"AutoModel": "modeling_x.Model"}}
    (source / "config.json").write_text(json.dumps(config))
    load_model(source).save(tmp_path / "without")
    assert "auto_map" not in json.loads((tmp_path / "without/config.json").read_text())
    (source / "modeling_x.py").write_text("class Model: ...\n")
    load_model(source).save(tmp_path / "with")
    assert json.loads((tmp_path / "with/config.json").read_text())["auto_map"] == config["auto_map"]
    assert (tmp_path / "with/modeling_x.py").read_text() == "class Model: ...\n"


def test_a_full_disk_leaves_the_old_checkpoint(reference_dir: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    lm.save(tmp_path / "out")
    before = (tmp_path / "out/model.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving, "write_backbone", full)
    with pytest.raises(OSError, match="No space left"):
        lm.save(tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_no_checkpoint_is_not_replaced(reference_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match="is no checkpoint; give a new folder"):
        load_model(reference_dir / "sdar" / "ckpt").save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "precious"
