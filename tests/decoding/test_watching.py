"""What a watcher is shown of blocks."""

import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import BlockDecoder, Request
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.watching import show
from dllm_rl.families import LanguageModel


def test_rows_are_shown_without_their_prompts() -> None:
    shown = []
    rows = [Progress(Request([1, 2, 3, 4, 5], 8), number=7), Progress(Request([1], 8), number=2, ids=[20, 21, 22])]
    show(lambda *seen: shown.append(seen), rows, torch.tensor([[5, 9, 30, 9], [40, 9, 9, 41]]))
    assert shown == [(7, [9, 30, 9]), (2, [20, 21, 22, 40, 9, 9, 41])]


def test_every_forward_of_a_block_decoder_is_shown_and_the_last_one_is_the_end(lm: LanguageModel) -> None:
    shown: dict[int, list[list[int]]] = {0: [], 1: []}
    requests = [Request([1, 2, 3, 4, 5], 8, seed=1), Request([1, 2], 4, seed=2)]
    rollouts = BlockDecoder(lm, DecodingConfig(dynamic_threshold=0.3)).decode(
        requests, lambda number, ids: shown[number].append(ids))
    for number, rollout in enumerate(rollouts):
        ids, steps = rollout.response_ids + rollout.tail_ids, rollout.step_map + rollout.tail_steps
        assert shown[number][-1] == ids
        for seen in shown[number]:
            assert all(token in (own, lm.mask_token_id) for token, own in zip(seen, ids, strict=False))
        reached = {seen.count(lm.mask_token_id) for seen in shown[number]}
        assert 0 in reached
        assert len(shown[number]) >= rollout.num_forwards == max(steps)
