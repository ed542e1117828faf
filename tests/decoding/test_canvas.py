"""The canvas: what is masked is a fact of its own."""

import torch

from dllm_rl.decoding.canvas import Canvas
from dllm_rl.decoding.sampling import Candidates

MASK = 99


def candidates(ids: list[int]) -> Candidates:
    nats = -torch.arange(1.0, len(ids) + 1)
    return Candidates(torch.tensor(ids), nats, nats, 2 * nats)


def test_a_block_opens_with_the_end_of_the_prompt() -> None:
    canvas = Canvas.open(torch.tensor([8, 0]), [[MASK], [5, 6, 7]], block_size=4, mask_token_id=MASK)
    assert canvas.ids.tolist() == [[MASK] * 4, [5, 6, 7, MASK]]
    assert canvas.masked.tolist() == [[False, True, True, True], [False, False, False, True]]
    assert canvas.layout.position.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert canvas.layout.block.tolist() == [[2] * 4, [0] * 4]


def test_candidates_land_where_they_were_chosen_and_nowhere_else() -> None:
    canvas = Canvas.open(torch.tensor([4, 8]), [[5], []], block_size=2, mask_token_id=MASK)
    places = canvas.masked.flatten().nonzero()[:, 0]
    chosen = torch.tensor([[True, True], [False, True]])  # the first one is prompt and stays
    canvas.reveal(chosen, places, candidates([20, 21, 22]), step=torch.tensor([3, 4]))
    assert canvas.ids.tolist() == [[5, 20], [MASK, 22]]
    assert canvas.masked.tolist() == [[False, False], [True, False]]
    assert canvas.steps.tolist() == [[0, 3], [0, 4]]
    assert canvas.logprobs.tolist() == [[0, -1], [0, -3]]
    assert canvas.raw_logprobs.tolist() == [[0, -2], [0, -6]]
    canvas.reveal(~chosen, torch.tensor([2]), candidates([30]), step=torch.tensor([4, 5]))
    assert canvas.ids.tolist() == [[5, 20], [30, 22]]
    assert canvas.steps.tolist() == [[0, 3], [5, 4]]
