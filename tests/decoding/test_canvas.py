"""The canvas: what is masked is a fact of its own."""

import pytest
import torch

from dllm_rl.decoding.canvas import Canvas
from dllm_rl.decoding.sampling import Candidates

MASK = 99


def candidates(ids: list[int]) -> Candidates:
    nats = -torch.arange(1.0, len(ids) + 1)
    return Candidates(torch.tensor(ids), nats, nats, 2 * nats, torch.zeros(len(ids), 100))


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


def test_a_whole_canvas_ends_in_pads_of_nobody() -> None:
    canvas = Canvas.whole([[5, MASK], [7]], [1, 4], MASK, torch.device("cpu"))
    assert canvas.ids.tolist() == [[5, MASK, MASK, MASK, MASK], [7, MASK, MASK, MASK, MASK]]
    assert canvas.masked.tolist() == [[False, False, True, False, False], [False, True, True, True, True]]
    assert canvas.layout.doc.tolist() == [[0, 0, 0, 4, 5], [0] * 5]
    assert canvas.layout.position.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert not canvas.layout.block.any()
    kept = canvas.keep_rows(torch.tensor([1]))
    assert (kept.ids.tolist(), kept.layout.doc.tolist()) == ([[7, *[MASK] * 4]], [[0] * 5])


@pytest.mark.parametrize(("logprob", "raw", "is_error"), [
    (-1.0, -1.0, False), (-1.0, -torch.inf, False), (torch.nan, -1.0, True), (-torch.inf, -1.0, True),
    (-1.0, torch.nan, True)])
def test_tokens_without_a_log_probability_are_an_error(logprob: float, raw: float, is_error: bool) -> None:
    canvas = Canvas.open(torch.tensor([4]), [[5]], block_size=2, mask_token_id=MASK)
    candidate = Candidates(torch.tensor([3]), torch.ones(1), torch.tensor([logprob]), torch.tensor([raw]),
                           torch.zeros(1, 100))
    canvas.reveal(torch.tensor([[False, True]]), torch.tensor([1]), candidate, torch.tensor([1]))
    if not is_error:
        return canvas.check()
    with pytest.raises(FloatingPointError, match="the model's logits are NaN or infinite"):
        canvas.check()
