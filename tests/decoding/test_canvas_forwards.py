"""Windows of unequal rows; what the forwards compute is tested by decoding (``test_canvas_decoder``)."""

import pytest
import torch

from dllm_rl.decoding.canvas_batch import CanvasBatch
from dllm_rl.decoding.canvas_forwards import FORWARDS, window_layout
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request
from dllm_rl.decoding.whole_cache import NOBODY
from dllm_rl.families import LanguageModel


def opened(prompts: list[list[int]], max_new: list[int], size: int) -> CanvasBatch:
    batch = CanvasBatch.of([Progress(Request(ids, new)) for ids, new in zip(prompts, max_new, strict=True)], 500,
                           torch.device("cpu"))
    batch.open_blocks(size)
    return batch


def test_a_shorter_window_ends_in_places_of_nobody() -> None:
    batch = opened([[1, 2], [3]], [4, 2], 4)
    layout = window_layout(batch, batch.stop)
    assert layout.position.tolist() == [[2, 3, 4, 5], [1, 2, 0, 0]]
    assert layout.doc.tolist() == [[0] * 4, [0, 0, NOBODY, NOBODY]]


@pytest.mark.parametrize("cache", FORWARDS)
@pytest.mark.parametrize("family", ["dream", "llada"])
def test_a_further_forward_of_an_unchanged_canvas_repeats_the_opening(full_lms: dict[str, LanguageModel], family: str,
                                                                      cache: str) -> None:
    batch = opened([[1, 2, 3], [4], [5, 6]], [8, 7, 2], 4)
    forwards = FORWARDS[cache](full_lms[family], batch, None)
    with torch.no_grad():
        opening, further = forwards.opening(), forwards.further()
        again = forwards.further()
    for row, (start, end) in enumerate(zip(batch.start.tolist(), batch.end.tolist(), strict=True)):
        begin = int(further.begin[row])
        torch.testing.assert_close(further.hidden[row, start - begin:end - begin], opening.hidden[row, start:end],
                                   atol=1e-4, rtol=1e-4)
    assert torch.equal(further.hidden[0], again.hidden[0])
