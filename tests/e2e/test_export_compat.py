"""Exports under transformers 4.52.4, which upstream's users run: in an environment of its own, slow."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from dllm_rl.families import LanguageModel, create_model, load_model
from dllm_rl.families.byte_tokenizer import byte_tokenizer
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import TIED, tiny
from tests.families.test_backbone import DREAM_SPECIAL, tokenized_directly, write_dream
from tests.families.test_loading import SIZES

VARIABLE = "DLLM_RL_TRANSFORMERS_4_52_PYTHON"
CLASSES = {"sdar": "Qwen3", "sdar_moe": "Qwen3Moe", "dream": "Qwen2", "llada": "Llama", "mmada": "Llama"}
REFERENCES = {"sdar": {}, "sdar_moe": {"mask_token_id": 500, "block_size": 4}, "dream": {}, "llada": {}}

# The stock class of 4.52.4 stands for upstream's modelling file, which is that class with another mask; LLaDA's names
# are LLaDA's own, so the reader renames them. Whatever the class has and the file lacks, or the reverse, is reported.
READER = """
import json, re, sys
from pathlib import Path
import torch, transformers
from safetensors.torch import load_file
asked = json.loads(sys.argv[1])
assert transformers.__version__ == "4.52.4", transformers.__version__
folder = Path(asked["folder"])
raw = json.loads((folder / "config.json").read_text())
skipped = ("architectures", "model_type", "pad_token_id")
settings = {k: v for k, v in raw.items() if k not in skipped}
if asked["config_names"]:
    settings = {own: raw[key] for key, own in asked["config_names"].items()} | {"torch_dtype": raw["torch_dtype"]}
config = getattr(transformers, asked["class"] + "Config")(**settings)
assert config.rope_theta == raw["rope_theta"] and str(config.torch_dtype) == "torch." + raw["torch_dtype"]
Model = getattr(transformers, asked["class"] + "ForCausalLM")
options = {"config": config, "attn_implementation": "sdpa"}
if asked["weight_names"]:
    named = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            for pattern, own in asked["weight_names"].items():
                name = re.sub(pattern, own, name)
            named[name] = tensor
    model = Model(config).to(config.torch_dtype)
    report = model.load_state_dict(named, strict=False)
    missing = set(report.missing_keys) - ({"lm_head.weight"} if config.tie_word_embeddings else set())
    assert not missing and not report.unexpected_keys, report
else:
    model, report = Model.from_pretrained(folder, output_loading_info=True, torch_dtype="auto", **options)
    assert not any(report.values()), report
with torch.no_grad():
    ids, mask = torch.tensor([asked["ids"]]), torch.tensor(asked["mask"]).bool()[None, None]
    logits = model.eval()(ids, attention_mask=mask).logits[0].float()
result = {"logits": logits.tolist(), "dtype": str(model.dtype)}
if asked["text"] is not None:
    Tokenizer = getattr(transformers, asked["tokenizer"]) if asked["tokenizer"] else transformers.AutoTokenizer
    tokenizer = Tokenizer.from_pretrained(folder, **({} if asked["tokenizer"] else {"config": config}))
    result |= {"ids": tokenizer(asked["text"])["input_ids"], "tokenizer": type(tokenizer).__name__,
               "special": [tokenizer.mask_token_id, tokenizer.eos_token_id]}
print(json.dumps(result))
"""


@pytest.fixture
def old_python() -> str:
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} names no Python with transformers 4.52.4; .ci/run makes one and sets it")
    return path


def read_with_old(python: str, folder: Path, lm: LanguageModel, ids: list[int], text: str | None = None,
                  tokenizer: str | None = None) -> dict[str, Any]:
    size = lm.block_size or len(ids)
    asked = {"folder": str(folder), "class": CLASSES[lm.family.name], "config_names": dict(lm.family.config_names),
             "weight_names": dict(lm.family.weight_names), "ids": ids, "text": text, "tokenizer": tokenizer,
             "mask": [[int(key // size <= query // size) for key in range(len(ids))] for query in range(len(ids))]}
    done = subprocess.run([python, "-c", READER, json.dumps(asked)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def predictions(lm: LanguageModel, logits: list[list[float]]) -> torch.Tensor:
    """What raw logits say of every token, under the family's shift."""
    place = torch.arange(len(logits)) - lm.family.logit_shift
    return torch.tensor(logits)[place.clamp(min=0)]


def assert_read_alike(lm: LanguageModel, ids: list[int], read: dict[str, Any]) -> None:
    with torch.no_grad():
        ours = lm.logits(torch.tensor([ids]))[0]
    torch.testing.assert_close(ours, predictions(lm, read["logits"]), atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_the_published_checkpoint_saved_again(name: str, old_python: str, reference_dir: Path, tmp_path: Path) -> None:
    lm = load_model(reference_dir / name / "ckpt", **REFERENCES[name])
    lm.save(tmp_path / "out")
    ids = list(range(30, 47))
    assert_read_alike(lm, ids, read_with_old(old_python, tmp_path / "out", lm, ids))


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_model_made_here(name: str, tied: bool, old_python: str, tmp_path: Path) -> None:
    lm = tiny(name, **{TIED[name]: tied})
    lm.save(tmp_path / "out", max_shard_size="40KB")
    ids = list(range(30, 47))
    assert_read_alike(lm, ids, read_with_old(old_python, tmp_path / "out", lm, ids))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_bfloat16(name: str, old_python: str, tmp_path: Path) -> None:
    lm = tiny(name)
    lm.save(tmp_path / "out", torch.bfloat16)
    ids = list(range(30, 47))
    read = read_with_old(old_python, tmp_path / "out", lm, ids)
    assert read["dtype"] == "torch.bfloat16"
    ours, theirs = lm.logits(torch.tensor([ids]))[0].detach(), predictions(lm, read["logits"])
    # bfloat16 has 8 bits: weights and every product round by up to 0.4 %.
    assert float((ours - theirs).abs().mean()) < 0.02 * float(ours.std())


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"mlp_only_layers": [0]}, {"decoder_sparse_step": 2}])
def test_a_mixture_with_dense_layers(settings: dict, old_python: str, tmp_path: Path) -> None:
    lm = tiny("sdar_moe", **settings)
    lm.save(tmp_path / "out")
    ids = list(range(30, 47))
    assert_read_alike(lm, ids, read_with_old(old_python, tmp_path / "out", lm, ids))


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
    assert_read_alike(lm, ids, read)


@pytest.mark.slow
def test_dreams_tokenizer_files(old_python: str, tmp_path: Path) -> None:
    write_dream(tmp_path / "in")
    lm = load_model(tmp_path / "in")
    lm.save(tmp_path / "out")
    text = "<|im_start|>hello world, 12\n<|mask|><|im_end|>"
    direct = tokenized_directly(tmp_path / "in", DREAM_SPECIAL).encode(text).ids
    # Upstream's class is in remote code and is transformers' own Qwen2 class under another name.
    read = read_with_old(old_python, tmp_path / "out", lm, direct, text, tokenizer="Qwen2Tokenizer")
    assert read["ids"] == direct
    assert read["special"] == [lm.tokenizer.mask_token_id, lm.tokenizer.eos_token_id]


@pytest.mark.slow
def test_the_source_tokenizer_is_copied_byte_for_byte(tmp_path: Path) -> None:
    made = create_model("sdar", SIZES | {"vocab_size": 264}, byte_tokenizer(),
                        {"mask": 259, "pad": 256, "eos": 256}, 4)
    made.save(tmp_path / "first")
    load_model(tmp_path / "first").save(tmp_path / "second")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
