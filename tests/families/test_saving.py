"""Checkpoints out: the published format, all or nothing."""

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dllm_rl.families import create_model, load_model, saving
from tests.families.test_loading import SIZES


def test_round_trip_keeps_config_and_every_byte(reference_dir: Path, tmp_path: Path) -> None:
    source = reference_dir / "sdar" / "ckpt"
    load_model(source).save(tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text()) == json.loads((source / "config.json").read_text())
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", source))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


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
