"""Ranges of the decoding options."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.registry import STRATEGIES


@pytest.mark.parametrize("name", [*STRATEGIES, "package.module:Mine", "./mine.py:Mine"])
def test_every_strategy_and_the_users_own_are_taken(name: str) -> None:
    assert DecodingConfig(remasking_strategy=name).remasking_strategy == name


@pytest.mark.parametrize("wrong", [
    {"temperature": -0.1}, {"temperature": float("inf")}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"top_k": 1.5},
    {"max_gen_length": 0}, {"block_size": 0}, {"denoising_steps_per_block": 0}, {"eb_threshold": 0.0},
    {"remasking_strategy": "nothing"}, {"decoder": "canvas"}, {"seed": -1}, {"stop_token_list": "x"}, {"tempreature": 1},
])
def test_a_wrong_value_is_refused(wrong: dict) -> None:
    [name] = wrong
    with pytest.raises(ValidationError, match=name):
        DecodingConfig(**wrong)


def test_a_record_reads_back_from_json() -> None:
    record = RecordedDecoding(sampler_class="drawn", replay_class="selection", temperature=1, stop_token_list=["x", 3])
    assert RecordedDecoding.model_validate_json(record.model_dump_json()) == record
