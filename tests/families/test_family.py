"""The family page: its example runs, its tables say what the code says."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import dllm_rl
from dllm_rl.families import Family
from dllm_rl.registry import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs/families.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its head."""
    section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_a_new_family_in_under_60_lines(tmp_path: Path) -> None:
    """In a process of its own, so that the registry of this one stays as it is."""
    code = dict(re.findall(r'```python title="(\S+)"\n(.*?)```', PAGE, re.DOTALL))
    assert sum(len(text.splitlines()) for text in code.values()) < 60
    for name, text in code.items():
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path(dllm_rl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "try_river.py"], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [re.search(r"`python try_river.py` prints `(.*?)`", PAGE).group(1)]
    assert sorted(file.name for file in (tmp_path / "river-tiny").iterdir()) == ["config.json", "model.safetensors"]
    assert "river" not in FAMILIES


def test_the_page_describes_every_field() -> None:
    assert [row[0].strip("`") for row in rows("## The fields")] == [field.name for field in fields(Family)]


def test_the_page_lists_every_family() -> None:
    backbones = {"qwen3": "Qwen3", "qwen3_moe": "Qwen3-MoE", "qwen2": "Qwen2", "llama": "Llama"}
    families = [FAMILIES.load(name) for name in FAMILIES]
    expected = [[f"`{family.name}`", backbones[family.backbone], "block-causal" if family.attention == "block" else "full",
                 "at i - 1" if family.logit_shift else "at i", f"`{family.mask_token}`"] for family in families]
    assert [[row[0], *row[2:]] for row in rows("# Families")] == expected


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_contradicts_itself_nowhere(name: str) -> None:
    family = FAMILIES.load(name)
    assert family.name == name
    assert family.published_config["model_type"] in family.model_types
    assert family.logit_shift in (0, 1)
    assert all(prompt.count("{problem}") == 1 for prompt in family.prompts.values())
    for key, allowed in family.required.items():
        assert family.published_config.get(key, allowed[0]) in allowed
    assert set(family.special_ids) == {"mask", "pad", "eos"}


def test_no_two_families_claim_a_model_type() -> None:
    claimed = [kind for name in FAMILIES for kind in FAMILIES.load(name).model_types]
    assert len(claimed) == len(set(claimed))
