"""Every registered decoder of canvases under every cache; that they equal the published ones is checked by ``verify``."""

import pytest

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import Request
from dllm_rl.decoding.canvas_rules import CanvasRules
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.registry import DECODERS

CANVAS = [name for name in DECODERS if name != "block"]


def rules_of(name: str) -> CanvasRules:
    return DECODERS.load(name).keywords["rules"]


@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
@pytest.mark.parametrize("name", CANVAS)
@pytest.mark.parametrize("family", ["dream", "llada"])
def test_all_decode_and_rows_are_their_own(full_lms: dict, family: str, name: str, cache: str) -> None:
    rules = rules_of(name)
    config = DecodingConfig(decoder=name, max_gen_length=8, block_size=None if rules.one_block else 4, cache=cache,
                            remasking_strategy="low_confidence_static", top_p=0.9)
    requests = [Request(ids, 8, seed=number) for number, ids in enumerate([[1, 2, 3], [4], [5, 6, 7, 8, 9]])]
    together = load_decoder(full_lms[family], config).decode(requests)
    for request, rollout in zip(requests, together, strict=True):
        assert rollout.block_ends == ([8] if rules.one_block else [4, 8])
        assert 0 not in rollout.step_map
        assert rollout.decoding.top_p_first is rules.top_p_first
        assert rollout.decoding.decoder == name
        [alone] = load_decoder(full_lms[family], config).decode([request])
        if not rules.shared_steps:      # their forwards, and with them the draws, are the batch's
            assert (rollout.response_ids, rollout.step_map) == (alone.response_ids, alone.step_map)


@pytest.mark.parametrize("name", CANVAS)
def test_only_the_default_ends_at_a_stop_token(full_lms: dict, name: str) -> None:
    config = DecodingConfig(decoder=name, max_gen_length=8, block_size=None if rules_of(name).one_block else 4)
    [rollout] = load_decoder(full_lms["dream"], config).decode([Request([1, 2], 8, frozenset(range(490)), greedy=True)])
    assert rollout.finish_reason == "stop"
    assert (len(rollout.response_ids), len(rollout.tail_ids)) == (1, 7)
    assert rollout.tail_steps.count(0) == (4 if name == "canvas" else 0)


def test_every_native_loop_of_blocks_or_none_says_so() -> None:
    assert [name for name in CANVAS if rules_of(name).one_block] == ["dream", "dream_parallel"]
    assert [name for name in CANVAS if rules_of(name).shared_steps] == ["dream_rl", "llada_rl"]
