"""What a call becomes, and what is said about calls that cannot be."""

from dataclasses import replace

import pytest

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.draws import MAX_SEED, request_seeds
from dllm_rl.decoding.request import Request, encode_prompt, prepare_requests, resolve_block_size, resolve_stop_ids
from dllm_rl.families import LanguageModel


def test_a_call_becomes_one_request_per_response(lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=5, stop_token_list=[7], seed=3)
    groups = prepare_requests(lm, [[1, 2], [4]], config, num_samples=2)
    seeds = request_seeds(3, [[1, 2], [4]], 2)
    assert groups == [[Request(ids, 5, frozenset({501, 7}), seed) for seed in row]
                      for ids, row in zip([[1, 2], [4]], seeds, strict=True)]


def test_temperature_0_is_greedy_and_seeds_may_be_given(lm: LanguageModel) -> None:
    [[request]] = prepare_requests(lm, [[1]], DecodingConfig(temperature=0), seeds=[[MAX_SEED]])
    assert request.greedy
    assert request.seed == MAX_SEED
    assert prepare_requests(lm, [], DecodingConfig()) == []


def test_stops_are_the_models_own_and_the_listed_ones(lm: LanguageModel, speaking_lm: LanguageModel) -> None:
    assert resolve_stop_ids(lm, DecodingConfig()) == {501}
    assert resolve_stop_ids(speaking_lm, DecodingConfig(stop_token_list=["w7", 8])) == {501, 502, 7, 8}
    assert resolve_stop_ids(speaking_lm, DecodingConfig(stop_token_list=["w7"], ignore_eos=True)) == set()


def test_texts_are_tokenised_as_they_are(speaking_lm: LanguageModel) -> None:
    assert encode_prompt(speaking_lm, "w5 <|MASK|> w6 <|im_end|>") == [5, 500, 6, 502]
    assert encode_prompt(speaking_lm, [500, 501]) == [500, 501]


def test_block_size_comes_from_the_settings_then_the_checkpoint(lm: LanguageModel) -> None:
    assert resolve_block_size(lm, DecodingConfig()) == 4
    assert resolve_block_size(lm, DecodingConfig(block_size=16)) == 16
    with pytest.raises(ValueError, match=r"neither the checkpoint nor the settings state a block size; set block_size"):
        resolve_block_size(replace(lm, block_size=None), DecodingConfig())
    shifted = replace(lm, family=replace(lm.family, logit_shift=1, name="dream"))
    with pytest.raises(ValueError, match="cannot decode the dream family"):
        resolve_block_size(shifted, DecodingConfig())


@pytest.mark.parametrize(("prompts", "settings", "message"), [
    ([[]], {}, "empty prompt; give at least one token"),
    ([[1, 512]], {}, r"prompt ids span 1..512, the vocabulary is 0..511"),
    ([[-1]], {}, r"prompt ids span -1..-1"),
    (["w1"], {}, "the prompt is text, but the checkpoint has no tokenizer; give token ids"),
    ("w1", {}, "prompts is one text; give a list"),
    ([[1]], {"denoising_steps_per_block": 5}, "denoising_steps_per_block 5 exceeds the block size 4; use 1 to 4"),
    ([[1]], {"max_gen_length": 32768}, "reach position 32772 in blocks of 4, the model has 32768; shorten"),
    ([[1]], {"stop_token_list": [512]}, r"stop token 512 is outside the vocabulary 0..511"),
    ([[1]], {"stop_token_list": ["w7"]}, "stop token 'w7' is text, but the checkpoint has no tokenizer; give its id"),
])
def test_bad_calls_are_explained(lm: LanguageModel, prompts: list, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare_requests(lm, prompts, DecodingConfig(**settings))


@pytest.mark.parametrize("token", ["unheard", "w1 w2", ""])
def test_a_stop_text_must_be_one_known_token(speaking_lm: LanguageModel, token: str) -> None:
    with pytest.raises(ValueError, match=f"stop token '{token}' is not one token of the tokenizer"):
        resolve_stop_ids(speaking_lm, DecodingConfig(stop_token_list=[token]))


@pytest.mark.parametrize(("num_samples", "seeds", "message"), [
    (0, None, "num_samples 0 is not allowed; give 1 or more"),
    (2, [[1]], r"seeds has 1 rows of \[1\] seeds for 1 prompts of 2 samples; give one seed per response"),
    (1, [[1], [2]], "seeds has 2 rows"),
    (1, [[-1]], r"seed -1 is outside 0..2\^63-1"),
    (1, [[MAX_SEED + 1]], "is outside"),
])
def test_bad_samples_and_seeds_are_explained(lm: LanguageModel, num_samples: int, seeds: list | None,
                                             message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare_requests(lm, [[1]], DecodingConfig(), num_samples, seeds)
