"""Ranges of the decoding options."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.registry import DECODERS, STRATEGIES


@pytest.mark.parametrize("name", [*STRATEGIES, "package.module:Mine", "./mine.py:Mine"])
def test_every_strategy_and_the_users_own_are_taken(name: str) -> None:
    assert DecodingConfig(remasking_strategy=name).remasking_strategy == name


@pytest.mark.parametrize("wrong", [
    {"temperature": -0.1}, {"temperature": float("inf")}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"top_k": 1.5},
    {"max_gen_length": 0}, {"block_size": 0}, {"denoising_steps_per_block": 0}, {"eb_threshold": 0.0},
    {"remasking_strategy": "nothing"}, {"decoder": "warp"}, {"seed": -1}, {"stop_token_list": "x"}, {"tempreature": 1},
])
def test_a_wrong_value_is_refused(wrong: dict) -> None:
    [name] = wrong
    with pytest.raises(ValidationError, match=name):
        DecodingConfig(**wrong)


@pytest.mark.parametrize(("settings", "message"), [
    ({"steps": 3, "block_size": 8, "max_gen_length": 32}, "steps 3 are fewer than the 4 blocks of 8 tokens; use 4"),
    ({"decoder": "canvas", "block_size": 12, "max_gen_length": 32},
     "max_gen_length 32 is no multiple of the block size 12; use 24 or 36, or another block_size"),
    ({"decoder": "llada_fast", "block_size": 64, "max_gen_length": 32}, "block_size 64 exceeds max_gen_length 32; use"),
    ({"further_horizon": 4}, "further_horizon is 4, which only cache=prefix has a window for; set cache=prefix or leave"),
    ({"further_horizon": 4, "cache": "dual"}, "further_horizon is 4, which only cache=prefix"),
    ({"cfg_scale": 0.5, "cache": "prefix"}, "cfg_scale is 0.5 and cache prefix; guidance recomputes everything"),
    ({"decoder": "block", "steps": 8}, "steps is 8, which decoder=block does not have: .*; leave steps out"),
    ({"decoder": "block", "cache": "none"}, "cache is none, which decoder=block does not have"),
])
def test_settings_that_do_not_fit_each_other_are_explained(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DecodingConfig(**settings)


@pytest.mark.parametrize("settings", [
    {"steps": 4, "block_size": 8, "max_gen_length": 32}, {"decoder": "dream", "steps": 4},
    {"block_size": 12, "max_gen_length": 32}, {"decoder": "./mine.py:Mine", "block_size": 12, "max_gen_length": 32},
    {"cache": "prefix", "further_horizon": 0}, {"cache": "none", "cfg_scale": 2.0},
    {"decoder": "block", "block_size": 12, "denoising_steps_per_block": 3},
])
def test_settings_that_fit_are_taken(settings: dict) -> None:
    assert DecodingConfig(**settings)


@pytest.mark.parametrize("name", list(DECODERS))
def test_every_decoder_is_taken(name: str) -> None:
    assert DecodingConfig(decoder=name).decoder == name


def test_a_record_reads_back_from_json() -> None:
    record = RecordedDecoding(sampler_class="drawn", replay_class="selection", temperature=1, stop_token_list=["x", 3])
    assert RecordedDecoding.model_validate_json(record.model_dump_json()) == record
