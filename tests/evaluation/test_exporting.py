"""``dllm-rl export``: what is written, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dllm_rl.config.export import ExportConfig
from dllm_rl.evaluation.exporting import run_export
from dllm_rl.families import load_model
from tests.families.checkpoints import tiny


def export(source: Path, out: Path, model: dict | None = None, **more: object) -> dict[str, object]:
    given = {"model": {"path": str(source), **(model or {})}, "out": str(out), **more}
    return run_export(ExportConfig.model_validate(given))


def test_bfloat16_with_a_card(tmp_path: Path) -> None:
    tiny("llada", tokenizer=True).save(tmp_path / "in", card="# the old card\n")
    report = export(tmp_path / "in", tmp_path / "out")
    stored, given = load_file(tmp_path / "out/model.safetensors"), load_file(tmp_path / "in/model.safetensors")
    assert stored.keys() == given.keys()
    assert all(torch.equal(stored[name], given[name].bfloat16()) for name in stored)
    assert report == {"folder": str(tmp_path / "out"), "family": "llada", "dtype": "bfloat16",
                      "bytes": (tmp_path / "out/model.safetensors").stat().st_size,
                      "files": "README.md, config.json, model.safetensors, tokenizer.json, tokenizer_config.json"}
    card = (tmp_path / "out/README.md").read_text()
    assert "# out\n" in card
    assert "| exported from | in |" in card      # a name, not where it lay on this machine
    assert str(tmp_path) not in card


def test_overrides_and_shards(tmp_path: Path) -> None:
    tiny("sdar").save(tmp_path / "in")
    report = export(tmp_path / "in", tmp_path / "out", {"block_size": 8, "mask_token_id": 7}, dtype="float32",
                    max_shard_size="40KB")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["block_size"], config["mask_token_id"], config["torch_dtype"]) == (8, 7, "float32")
    assert "block_size: 8" in (tmp_path / "out/README.md").read_text()
    assert "model.safetensors.index.json" in str(report["files"])
    assert load_model(tmp_path / "out").block_size == 8


def test_the_checkpoint_itself_is_not_written_over(tmp_path: Path) -> None:
    tiny("sdar").save(tmp_path / "in")
    before = (tmp_path / "in/model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="out and model.path are both .*; export to another folder"):
        export(tmp_path / "in", tmp_path / "in" / ".." / "in")
    assert (tmp_path / "in/model.safetensors").read_bytes() == before


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    tiny("sdar").save(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("precious")
    with pytest.raises(ValueError, match="is no checkpoint; give a new folder"):
        export(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out/notes.txt").read_text() == "precious"
