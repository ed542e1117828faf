"""Replay: the recorded settings say how candidates were drawn and ranked."""

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import generate
from dllm_rl.decoding.replay import losing_strategy, recorded_sampler
from dllm_rl.decoding.strategies import LowConfidenceDynamic
from dllm_rl.families import LanguageModel


@pytest.mark.parametrize(("decoder", "score_of", "top_p_first"), [
    ("canvas", "processed", False), ("llada", "raw", False), ("dream", "processed", True)])
def test_the_sampler_of_a_record_is_the_decoders(full_lms: dict[str, LanguageModel], decoder: str, score_of: str,
                                                 top_p_first: bool) -> None:
    config = DecodingConfig(decoder=decoder, remasking_strategy="low_confidence_static", max_gen_length=4, temperature=0.5)
    lm = full_lms["dream" if decoder == "dream" else "llada"]
    [[rollout]] = generate(lm, [[1, 2]], config)
    sampler = recorded_sampler(lm, rollout.decoding)
    assert (sampler.score, sampler.score_of, sampler.top_p_first) == ("confidence", score_of, top_p_first)
    assert sampler.config.temperature == 0.5


def test_a_block_that_opens_alone_is_in_the_record(full_lms: dict[str, LanguageModel]) -> None:
    config = DecodingConfig(decoder="dream_rl", max_gen_length=4, block_size=4)
    assert generate(full_lms["dream"], [[1, 2]], config)[0][0].decoding.opens_alone
    assert not generate(full_lms["llada"], [[1, 2]], DecodingConfig(max_gen_length=4))[0][0].decoding.opens_alone


def test_without_a_record_it_is_the_plain_softmax(lm: LanguageModel) -> None:
    sampler = recorded_sampler(lm, None)
    logits = torch.randn(2, lm.vocab_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sampler.score_table(logits), logits.softmax(-1))


def test_a_strategy_without_a_losing_event_is_refused() -> None:
    assert isinstance(losing_strategy(DecodingConfig()), LowConfidenceDynamic)
    with pytest.raises(ValueError, match=r"not defined: remasking_strategy 'klass' has no losing event"):
        losing_strategy(DecodingConfig(remasking_strategy="klass"))
