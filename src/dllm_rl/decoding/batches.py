"""Requests decoded a batch at a time: what every readable loop does around its batches."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from dllm_rl.decoding.request import Request
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout


def batches(requests: Sequence[Request], size: int) -> Iterator[list[int]]:
    """Numbers of requests to decode together: at most ``size``, of similar prompt length, all greedy or none."""
    order = sorted(range(len(requests)), key=lambda number: (requests[number].greedy, len(requests[number].prompt_ids)))
    for _, group in groupby(order, key=lambda number: requests[number].greedy):
        numbers = list(group)
        for begin in range(0, len(numbers), size):
            yield numbers[begin:begin + size]


def decode_in_batches(lm: LanguageModel, requests: Sequence[Request], size: int,
                      decode: Callable[[list[int]], list[Rollout]]) -> list[Rollout]:
    """Decode all requests with the model in evaluation mode, and leave it in the mode it was in.

    Args:
        lm: the model.
        requests: what to decode.
        size: largest batch.
        decode: the rollouts of the requests with these numbers, in their order.

    Returns:
        one rollout per request, in order.
    """
    training = lm.backbone.training
    lm.backbone.eval()
    rollouts: dict[int, Rollout] = {}
    try:
        for numbers in batches(requests, size):
            rollouts.update(zip(numbers, decode(numbers), strict=True))
    finally:
        lm.backbone.train(training)
    return [rollouts[number] for number in range(len(requests))]
