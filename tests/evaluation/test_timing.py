"""An engine with a clock: the same rollouts, and only decoding is timed."""

import time

import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.timing import TimedEngine
from dllm_rl.families import LanguageModel


def test_rollouts_are_the_engines_own_and_time_adds_up(lm: LanguageModel) -> None:
    engine, timed = LocalDecoder(lm), TimedEngine(LocalDecoder(lm))
    config = DecodingConfig(max_gen_length=8)
    assert timed.seconds == 0
    start = time.perf_counter()
    assert timed.generate([[1, 2]], config, 2, [[3, 4]]) == engine.generate([[1, 2]], config, 2, [[3, 4]])
    first = timed.seconds
    timed.generate([[1]], config)
    assert 0 < first < timed.seconds < time.perf_counter() - start


def test_weights_go_to_the_engine(lm: LanguageModel) -> None:
    engine = LocalDecoder(lm)
    name, tensor = next(iter(lm.backbone.state_dict().items()))
    TimedEngine(engine).load_weights([(name, tensor.clone())], version=7)
    assert engine.version == 7
    assert torch.equal(lm.backbone.state_dict()[name], tensor)
