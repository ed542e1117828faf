"""Tokenizers of published folders, read without running their code."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from dllm_rl.families import load_model
from tests.families.checkpoints import tiny, write_byte_bpe

DREAM_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|beginoftext|>", "<|mask|>"]
LLADA_SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                 "<|mdm_mask|>"]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
"""How Qwen2 cuts a text into words, which its byte pairs never cross."""
TEXTS = ["hello world, it's 1234!", "<|im_start|>user\nhello  hello<|im_end|>\n<|im_start|>assistant<|mask|><|mask|>",
         " \n\n  é ü 你好\t<|endoftext|>", "<|startoftext|><|start_header_id|>user<|end_header_id|>hello<|eot_id|>"]


def tokenized_directly(folder: Path, special_tokens: list[str]) -> Tokenizer:
    """The same vocabulary put together from the parts of ``tokenizers``."""
    merges = [tuple(line.split()) for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    tokenizer = Tokenizer(models.BPE(vocab=json.loads((folder / "vocab.json").read_text()), merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special_tokens])
    return tokenizer


def write_dream(folder: Path) -> None:
    tiny("dream", vocab_size=272).save(folder)
    write_byte_bpe(folder, DREAM_SPECIAL, tokenizer_class="DreamTokenizer", bos_token="<|beginoftext|>",
                   eos_token="<|endoftext|>", pad_token="<|endoftext|>", mask_token="<|mask|>",
                   auto_map={"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]})
    (folder / "tokenization_dream.py").write_text("raise RuntimeError('this code is not to be run')\n")


def test_dreams_tokenizer_is_read_without_its_code(tmp_path: Path) -> None:
    write_dream(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["mask_token_id"], config["eos_token_id"], config["pad_token_id"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    lm = load_model(tmp_path)
    direct = tokenized_directly(tmp_path, DREAM_SPECIAL)
    for text in TEXTS:
        ids = lm.tokenizer(text)["input_ids"]
        assert ids == direct.encode(text).ids
        assert lm.tokenizer.decode(ids) == text
    first = direct.token_to_id("<|endoftext|>")
    assert (lm.mask_token_id, lm.eos_token_id, lm.pad_token_id) == (first + 4, first, first)
    assert lm.stop_token_ids == [first, first + 2]
    assert int(lm.allowed_ids.sum()) == direct.get_vocab_size() - 1


def test_dreams_tokenizer_is_saved_as_it_was_read(tmp_path: Path) -> None:
    write_dream(tmp_path / "in")
    load_model(tmp_path / "in").save(tmp_path / "out")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "tokenization_dream.py"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
    assert not (tmp_path / "out/tokenizer.json").exists()


@pytest.mark.parametrize("family", ["llada", "mmada"])
def test_lladas_tokenizer_and_turn_tokens(family: str, tmp_path: Path) -> None:
    tiny(family, embedding_size=272).save(tmp_path)
    write_byte_bpe(tmp_path, LLADA_SPECIAL, tokenizer_class="PreTrainedTokenizerFast", bos_token="<|startoftext|>",
                   eos_token="<|endoftext|>", pad_token="<|endoftext|>", cls_token="[CLS]")
    direct = tokenized_directly(tmp_path, LLADA_SPECIAL)
    direct.save(str(tmp_path / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    del config["mask_token_id"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    lm = load_model(tmp_path, eos_token_id=direct.token_to_id("<|endoftext|>"))
    assert lm.mask_token_id == direct.token_to_id("<|mdm_mask|>")
    assert lm.stop_token_ids == [direct.token_to_id("<|endoftext|>"), direct.token_to_id("<|eot_id|>")]
    prompt = lm.family.prompts["math"]
    for text in [*TEXTS, prompt]:
        assert lm.tokenizer(text)["input_ids"] == direct.encode(text).ids
    ids = lm.tokenizer(prompt)["input_ids"]
    start, header = direct.token_to_id("<|startoftext|>"), direct.token_to_id("<|start_header_id|>")
    assert ids[:2] == [start, header]
    assert ids.count(start) == 2


@pytest.mark.parametrize(("files", "message"), [
    ({"tokenizer_config.json": '{"tokenizer_class": "Qwen2Tokenizer"}'}, "has tokenizer_config.json but no vocabulary"),
    ({"tokenizer_config.json": "{}", "vocab.json": "{}"}, "neither tokenizer.json nor vocab.json with merges.txt"),
    ({"tokenizer.json": "{"}, "the tokenizer in .* cannot be read"),
    ({"tokenizer.json": "{}"}, "the tokenizer in .* cannot be read"),
    ({"tokenizer_config.json": "{", "vocab.json": "{}", "merges.txt": ""}, "the tokenizer in .* cannot be read"),
])
def test_an_incomplete_tokenizer_is_named(files: dict[str, str], message: str, tmp_path: Path) -> None:
    tiny("dream").save(tmp_path / "out")
    for name, text in files.items():
        (tmp_path / "out" / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "out")
