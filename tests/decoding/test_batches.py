"""Which requests are decoded together."""

import pytest

from dllm_rl.decoding.batches import batches, decode_in_batches
from dllm_rl.decoding.request import Request
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout

REQUESTS = [Request([1] * length, 4, greedy=greedy) for length, greedy in [(9, False), (2, True), (1, False), (5, False)]]


def test_similar_lengths_come_together_and_greedy_requests_apart() -> None:
    assert list(batches(REQUESTS, 2)) == [[2, 3], [0], [1]]
    assert list(batches(REQUESTS, 9)) == [[2, 3, 0], [1]]
    assert list(batches([], 9)) == []


def test_rollouts_return_to_the_order_of_the_requests(lm: LanguageModel) -> None:
    def decode(numbers: list[int]) -> list[Rollout]:
        assert not lm.backbone.training
        return [Rollout([number], [], []) for number in numbers]

    lm.backbone.train()
    assert [rollout.prompt_ids for rollout in decode_in_batches(lm, REQUESTS, 2, decode)] == [[0], [1], [2], [3]]
    assert lm.backbone.training
    lm.backbone.eval()


def test_the_mode_is_restored_after_an_error(lm: LanguageModel) -> None:
    lm.backbone.train()
    with pytest.raises(ZeroDivisionError):
        decode_in_batches(lm, REQUESTS, 2, lambda numbers: [1 // 0 for _ in numbers])
    assert lm.backbone.training
    lm.backbone.eval()
