"""Exports under transformers 4.52.4, which upstream's users run: in an environment of its own, slow."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from dllm_rl.families import LanguageModel, create_model, load_model
from dllm_rl.families.byte_tokenizer import byte_tokenizer
from tests.families.test_loading import SIZES

VARIABLE = "DLLM_RL_TRANSFORMERS_4_52_PYTHON"

READER = """
import json, sys, torch, transformers
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM
folder, ids, mask = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
assert transformers.__version__ == "4.52.4", transformers.__version__
raw = json.load(open(folder + "/config.json"))
config = Qwen3Config(**{k: v for k, v in raw.items() if k not in ("architectures", "model_type", "pad_token_id")})
assert config.rope_theta == raw["rope_theta"] and config.torch_dtype == torch.float32
model, report = Qwen3ForCausalLM.from_pretrained(folder, config=config, output_loading_info=True,
                                                 attn_implementation="sdpa")
assert not any(report.values()), report
with torch.no_grad():
    logits = model(torch.tensor([ids]), attention_mask=torch.tensor(mask).bool()[None, None]).logits[0]
result = {"logits": logits.tolist()}
if len(sys.argv) > 4:
    tokenizer = AutoTokenizer.from_pretrained(folder, config=config)
    result |= {"ids": tokenizer(sys.argv[4])["input_ids"], "special": [tokenizer.mask_token_id, tokenizer.eos_token_id]}
print(json.dumps(result))
"""


@pytest.fixture
def old_python() -> str:
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} names no Python with transformers 4.52.4; .ci/run makes one and sets it")
    return path


def read_with_old(python: str, folder: Path, lm: LanguageModel, ids: list[int], *text: str) -> dict:
    size = lm.block_size
    mask = [[int(key // size <= query // size) for key in range(len(ids))] for query in range(len(ids))]
    done = subprocess.run([python, "-c", READER, str(folder), json.dumps(ids), json.dumps(mask), *text],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_published_checkpoint_saved_again(old_python: str, reference_dir: Path, tmp_path: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    lm.save(tmp_path / "out")
    ids = list(range(30, 47))
    theirs = torch.tensor(read_with_old(old_python, tmp_path / "out", lm, ids)["logits"])
    torch.testing.assert_close(lm.logits(torch.tensor([ids]))[0], theirs, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_model_and_tokenizer_made_here(old_python: str, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    lm = create_model("sdar", SIZES | {"vocab_size": 264, "rope_theta": 5e5}, tokenizer,
                      {"mask": 259, "pad": 256, "eos": 256}, 4)
    lm.save(tmp_path / "out")
    text = "<|im_start|>12+é\n 3<|MASK|><|im_end|>"
    ids = tokenizer(text)["input_ids"]
    read = read_with_old(old_python, tmp_path / "out", lm, ids, text)
    assert read["ids"] == ids
    assert read["special"] == [259, 256]
    torch.testing.assert_close(lm.logits(torch.tensor([ids]))[0], torch.tensor(read["logits"]), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_the_source_tokenizer_is_copied_byte_for_byte(tmp_path: Path) -> None:
    made = create_model("sdar", SIZES | {"vocab_size": 264}, byte_tokenizer(),
                        {"mask": 259, "pad": 256, "eos": 256}, 4)
    made.save(tmp_path / "first")
    load_model(tmp_path / "first").save(tmp_path / "second")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
