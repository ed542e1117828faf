"""Rows at blocks of their own."""

import torch

from dllm_rl.decoding.canvas_batch import CanvasBatch
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request

MASK = 9


def test_blocks_follow_each_other_up_to_each_rows_end() -> None:
    rows = [Progress(Request([5, 6], max_new=5, seed=3)), Progress(Request([7], max_new=2, seed=4, greedy=False))]
    batch = CanvasBatch.of(rows, MASK, torch.device("cpu"))
    assert not batch.inside.any()
    batch.open_blocks(3)
    assert (batch.start.tolist(), batch.end.tolist(), batch.stop.tolist()) == ([2, 1], [5, 3], [7, 3])
    assert batch.block.tolist() == [[2, 3, 4], [1, 2, 3]]
    assert batch.open.nonzero().tolist() == [[0, 2], [0, 3], [0, 4], [1, 1], [1, 2]]
    batch.canvas.masked[0, 3] = False
    assert (int(batch.open.sum()), int(batch.inside.sum())) == (4, 5)
    batch.keep_rows([0])
    batch.open_blocks(3)
    assert (batch.seeds.tolist(), batch.start.tolist(), batch.end.tolist()) == ([3], [5], [7])
    assert batch.rows == rows[:1]


def test_a_place_behind_the_canvas_is_its_last() -> None:
    batch = CanvasBatch.of([Progress(Request([5], 4)), Progress(Request([5, 6, 7], 2))], MASK, torch.device("cpu"))
    batch.open_blocks(4)
    assert batch.block.tolist() == [[1, 2, 3, 4], [3, 4, 4, 4]]
