"""The reference model, and the same with a tokenizer that knows fewer ids than the model."""

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dllm_rl.families import LanguageModel, load_model


@pytest.fixture(scope="session")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


@pytest.fixture(scope="session")
def speaking_lm(lm: LanguageModel) -> LanguageModel:
    """Words w0 to w499, then mask, eos, and a turn end; the ids 503 to 511 exist in the model alone."""
    names = [f"w{token}" for token in range(500)] + ["<|MASK|>", "<|endoftext|>", "<|im_end|>"]
    words = Tokenizer(models.WordLevel({name: token for token, name in enumerate(names)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="<|endoftext|>",
                                        additional_special_tokens=["<|MASK|>", "<|im_end|>"])
    return replace(lm, tokenizer=tokenizer)
