"""What an exported checkpoint says of itself."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dllm_rl.families import load_model
from dllm_rl.families.model_card import model_card
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import tiny


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", card, re.DOTALL)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_says_what_it_is_and_how_it_is_read(name: str) -> None:
    lm = tiny(name)
    card = model_card(lm, "my-model", "someone/base", torch.bfloat16)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "# my-model\n" in card
    for line in ("| exported from | someone/base |", "| weights | bfloat16 |", f"| family | `{name}` |",
                 f"| parameters | {sum(weight.numel() for weight in lm.backbone.parameters()):,} |",
                 f"| attention | {'block-causal, blocks of 4' if lm.block_size else 'full'} |",
                 f"| logits that predict token i | at i{' - 1' if lm.family.logit_shift else ''} |"):
        assert line in card
    assert f'snapshot_download("{lm.family.example}"' in card
    assert f'{lm.family.auto_class}.from_pretrained("my-model", trust_remote_code=True' in card
    for code in blocks(card, "python"):
        ast.parse(code)
    assert all(word in card for word in ("## SGLang", "## LMDeploy")) is bool(lm.family.engines)


@pytest.mark.parametrize(("size", "sglang"), [(4, None), (16, "echo 'block_size: 16' > dllm.yaml")])
def test_a_block_size_is_an_option_of_the_engines(size: int, sglang: str | None) -> None:
    lm = replace(tiny("sdar"), block_size=size)
    card = model_card(lm, "my-model", "base", torch.float32)
    assert f"PytorchEngineConfig(dllm_block_length={size}," in card
    command = "\n".join(blocks(card.split("## SGLang")[1], ""))
    assert "--model-path my-model --trust-remote-code --dllm-algorithm LowConfidence" in command
    assert ("--dllm-algorithm-config dllm.yaml" in command) is (sglang is not None)
    assert sglang is None or sglang in command


def test_a_mask_token_that_sglang_does_not_know_is_said() -> None:
    lm = tiny("sdar")
    assert "mask token is 151669 for this family and cannot be set; here it is 259" in model_card(
        lm, "m", "base", torch.float32)
    usual = replace(lm, family=replace(lm.family, special_ids={**lm.family.special_ids, "mask": 259}))
    assert "cannot be set" not in model_card(usual, "m", "base", torch.float32)


def test_modelling_files_of_the_source_are_used(tmp_path: Path) -> None:
    tiny("dream").save(tmp_path / "in")
    (tmp_path / "in/modeling_dream.py").write_text("class DreamModel: ...\n")
    card = model_card(load_model(tmp_path / "in"), "m", "base", torch.float32)
    assert "The modelling files are those of the checkpoint" in card
    assert "snapshot_download" not in card


def test_the_lines_that_fetch_modelling_files_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are run as they stand; only the download is answered from a folder."""
    import json

    import huggingface_hub

    lm = tiny("llada")
    lm.save(tmp_path / "my-model", card=model_card(lm, "my-model", "base", torch.float32))
    published, asked = tmp_path / "published", []
    published.mkdir()
    (published / "modeling_llada.py").write_text("class LLaDAModelLM: ...\n")
    (published / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"}}))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: asked.append(name) or str(published))
    monkeypatch.chdir(tmp_path)
    exec(blocks((tmp_path / "my-model/README.md").read_text(), "python")[0], {})
    assert asked == ["GSAI-ML/LLaDA-8B-Instruct"]
    again = load_model(tmp_path / "my-model")
    assert again.published["auto_map"] == {"AutoModel": "modeling_llada.LLaDAModelLM"}
    assert (tmp_path / "my-model/modeling_llada.py").is_file()
