"""The README.md of an exported checkpoint: what it is, and the lines that read it elsewhere."""

from collections.abc import Callable
from pathlib import Path

import torch

from dllm_rl.families.language_model import LanguageModel
from dllm_rl.families.saving import modelling_files

_DEFAULT_BLOCK = 4
"""The block size that SGLang takes for SDAR unless it is told another."""


def model_card(lm: LanguageModel, name: str, origin: str, dtype: torch.dtype) -> str:
    """Markdown that says how to read an export of ``lm``.

    Args:
        lm: what is exported.
        name: what the export is called, in the lines a reader pastes.
        origin: where the weights come from, in words.
        dtype: what the weights are stored in.
    """
    parts = [_FRONT.format(name=name), _facts(lm, origin, dtype), _in_dllm_rl(name), _in_transformers(lm, name),
             *(_ENGINES[engine](lm, name) for engine in lm.family.engines)]
    if not lm.family.engines:
        parts.append(f"No serving engine is known to us to run family `{lm.family.name}`.")
    return "\n\n".join(parts) + "\n"


_FRONT = """---
library_name: transformers
pipeline_tag: text-generation
tags:
- diffusion language model
- dllm-rl
---

# {name}"""


def _facts(lm: LanguageModel, origin: str, dtype: torch.dtype) -> str:
    kind = "full" if lm.block_size is None else f"block-causal, blocks of {lm.block_size}"
    rows = {"family": f"`{lm.family.name}`", "exported from": origin, "weights": str(dtype).removeprefix("torch."),
            "parameters": f"{sum(weight.numel() for weight in lm.backbone.parameters()):,}", "attention": kind,
            "logits that predict token i": "at i - 1" if lm.family.logit_shift else "at i",
            "mask token": f"{lm.mask_token_id} (`{lm.family.mask_token}`)"}
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())])


def _in_dllm_rl(name: str) -> str:
    return f"""## dllm-rl

```
dllm-rl generate model.path={name} 'prompts=["How much is 2 + 3?"]'
```"""


def _in_transformers(lm: LanguageModel, name: str) -> str:
    auto = lm.family.auto_class
    reading = f"""```python
from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("{name}", trust_remote_code=True, torch_dtype="auto")
tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)
```"""
    if modelling_files(lm.source):
        note = "The modelling files are those of the checkpoint that was fine-tuned; read them before you trust them."
    elif lm.family.example is None:
        note = "This folder has no modelling files; transformers needs those of the family beside the weights."
    else:
        note = _GET_FILES.format(name=name, example=lm.family.example)
    return f"## transformers\n\n{note}\n\n{reading}"


_GET_FILES = """This folder has no modelling files. Take those of `{example}`, which fit, and the `auto_map` that names
them; once:

```python
import json, pathlib, shutil
from huggingface_hub import snapshot_download

ours, theirs = pathlib.Path("{name}"), pathlib.Path(snapshot_download("{example}", allow_patterns=["*.py", "config.json"]))
for file in theirs.glob("*.py"):
    shutil.copy(file, ours)
config = json.loads((ours / "config.json").read_text())
config["auto_map"] = json.loads((theirs / "config.json").read_text())["auto_map"]
(ours / "config.json").write_text(json.dumps(config, indent=2))
```"""


def _sglang(lm: LanguageModel, name: str) -> str:
    command = f"python -m sglang.launch_server --model-path {Path(name)} --trust-remote-code --dllm-algorithm LowConfidence"
    lines = ["## SGLang", "SGLang does not read the block size from the checkpoint: it takes "
             f"{_DEFAULT_BLOCK} unless the file of `--dllm-algorithm-config` says another."]
    if lm.block_size == _DEFAULT_BLOCK:
        lines.append(f"```\n{command}\n```")
    else:
        lines.append(f"```\necho 'block_size: {lm.block_size}' > dllm.yaml\n{command} \\\n"
                     "    --dllm-algorithm-config dllm.yaml\n```")
    expected = lm.family.special_ids["mask"]
    if lm.mask_token_id != expected:
        lines.append(f"SGLang's mask token is {expected} for this family and cannot be set; here it is {lm.mask_token_id}, "
                     "so SGLang does not run this checkpoint rightly.")
    return "\n\n".join(lines)


def _lmdeploy(lm: LanguageModel, name: str) -> str:
    return f"""## LMDeploy

LMDeploy takes the block size as an engine option (`--dllm-block-length` of `lmdeploy serve api_server`), not from the
checkpoint.

```python
from lmdeploy import PytorchEngineConfig, pipeline

engine = PytorchEngineConfig(dllm_block_length={lm.block_size}, dllm_unmasking_strategy="low_confidence_dynamic")
with pipeline("{name}", backend_config=engine) as pipe:
    print(pipe(["How much is 2 + 3?"]))
```"""


_ENGINES: dict[str, Callable[[LanguageModel, str], str]] = {"sglang": _sglang, "lmdeploy": _lmdeploy}
