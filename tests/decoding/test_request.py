"""What a call becomes, and what is said about calls that cannot be."""

from dataclasses import replace

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.draws import MAX_SEED, request_seeds
from dllm_rl.decoding.local_decoder import generate
from dllm_rl.decoding.request import (
    Request,
    encode_prompt,
    prepare_requests,
    resolve_block_size,
    resolve_canvas,
    resolve_delimiters,
    resolve_stop_ids,
)
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


def test_a_canvas_is_one_block_or_some(full_lms: dict) -> None:
    lm = full_lms["llada"]
    for settings, one_block, found in [
        ({}, False, (32, 256)), ({"max_gen_length": 8}, False, (8, 8)), ({"steps": 9}, True, (256, 9)),
        ({"block_size": 256}, True, (256, 256)), ({"block_size": 64, "steps": 4}, False, (64, 4)),
    ]:
        assert resolve_canvas(lm, DecodingConfig(**settings), one_block) == found


@pytest.mark.parametrize(("settings", "one_block", "message"), [
    ({"max_gen_length": 40}, False, "max_gen_length 40 is no multiple of the block size 32; use 32 or 64"),
    ({"steps": 7}, False, "steps 7 are fewer than the 8 blocks of 32 tokens; use 8 or more"),
    ({"block_size": 8}, True, "block_size is 8, but decoder None takes the whole response of 256 tokens as one block"),
    ({"denoising_steps_per_block": 4}, False, "denoising_steps_per_block is 4, which decoder None does not have"),
])
def test_a_canvas_that_cannot_be_is_explained(full_lms: dict, settings: dict, one_block: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_canvas(full_lms["llada"], DecodingConfig(**settings), one_block)


def test_a_decoder_of_another_kind_of_family_is_refused(lm: LanguageModel, full_lms: dict) -> None:
    with pytest.raises(ValueError, match="decoder 'block' cannot decode the dream family, .* use decoder=canvas"):
        resolve_block_size(full_lms["dream"], DecodingConfig())
    with pytest.raises(ValueError, match="decoder 'llada' cannot decode the sdar family, .* use decoder=block"):
        resolve_canvas(lm, DecodingConfig(decoder="llada"), one_block=False)
    for name, value in [("steps", 8), ("cache", "dual"), ("cfg_scale", 0.5)]:
        with pytest.raises(ValueError, match=f"{name} is {value}, which decoder=block does not have"):
            resolve_block_size(lm, DecodingConfig(**{name: value}))


def test_a_model_without_any_stop_decodes_to_the_limit(full_lms: dict) -> None:
    silent = replace(full_lms["llada"], eos_token_id=None)
    assert resolve_stop_ids(silent, DecodingConfig()) == set()
    [[rollout]] = generate(silent, [[1]], DecodingConfig(max_gen_length=8))
    assert (len(rollout.response_ids), rollout.finish_reason) == (8, "length")


def test_positions_of_a_canvas_are_counted_in_tokens(full_lms: dict) -> None:
    lm = full_lms["llada"]
    limit = lm.backbone.config.max_position_embeddings
    assert prepare_requests(lm, [[1] * 8], DecodingConfig(max_gen_length=limit - 8))
    with pytest.raises(ValueError, match=f"reach position {limit + 1}, the model has {limit}; shorten the prompt or"):
        prepare_requests(lm, [[1] * 9], DecodingConfig(max_gen_length=limit - 8))
    with pytest.raises(ValueError, match="empty prompt"):
        prepare_requests(lm, [[]], DecodingConfig())


def test_block_delimiters_are_tokens(full_lms: dict, speaking_lm: LanguageModel) -> None:
    assert resolve_delimiters(speaking_lm, DecodingConfig(block_delimiters=["w7", 3])).tolist() == [7, 3]
    assert resolve_delimiters(full_lms["llada"], DecodingConfig(block_delimiters=[])).dtype == torch.long
    with pytest.raises(ValueError, match="block delimiter '.n' is text, but the checkpoint has no tokenizer; give its id"):
        resolve_delimiters(full_lms["llada"], DecodingConfig())


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
