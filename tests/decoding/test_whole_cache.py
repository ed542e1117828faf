"""The dual cache: a window's keys and values replace older ones for good, everything around them stays."""

import pytest
import torch

from dllm_rl.attention import DenseAttention
from dllm_rl.decoding.canvas import Canvas
from dllm_rl.decoding.whole_cache import NOBODY, OverwritingAttention, WholeCache
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT

HEADS, SIZE, WIDTH = 4, 8, 7
TOLERANCE = 1e-6
"""fp32 rounding of another order of summation."""


def states(num: int, kv_heads: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, heads, num, SIZE, generator=generator) for heads in (HEADS, kv_heads, kv_heads)]


def canvas_layout() -> Layout:
    """A row of 7 tokens and one of 5."""
    return Canvas.whole([[1], [1]], [6, 4], 0, torch.device("cpu")).layout


def window(begin: list[int], length: list[int]) -> Layout:
    place = torch.tensor(begin)[:, None] + torch.arange(max(length))
    real = torch.arange(max(length)) < torch.tensor(length)[:, None]
    zeros = torch.zeros_like(place)
    return Layout(torch.where(real, place, 0), torch.where(real, 0, NOBODY), zeros + NO_PARENT, zeros, zeros)


def filled(whole: list[torch.Tensor]) -> WholeCache:
    cache = WholeCache(canvas_layout(), DenseAttention(canvas_layout()))
    cache.attend(0, *whole, scale=0.3)
    return cache


@pytest.mark.parametrize("kv_heads", [1, 4])
def test_windows_overwrite_and_the_rest_stays_stale(kv_heads: int) -> None:
    whole = states(WIDTH, kv_heads, 0)
    cache, seen = filled(whole), [part.clone() for part in whole]
    for seed, (begin, length) in enumerate([([2, 1], [3, 2]), ([2, 1], [3, 2]), ([4, 3], [2, 2])], 1):
        new = states(3, kv_heads, seed) if max(length) == 3 else states(2, kv_heads, seed)
        found = OverwritingAttention(cache, window(begin, length)).attend(0, *new, scale=0.3)
        for row in range(2):
            for part, own in zip(seen, new, strict=True):
                part[row, :, begin[row]:begin[row] + length[row]] = own[row, :, :length[row]]
        expected = DenseAttention(canvas_layout()).attend(0, *seen, scale=0.3)
        for row in range(2):
            torch.testing.assert_close(found[row, :, :length[row]], expected[row, :, begin[row]:begin[row] + length[row]],
                                       atol=TOLERANCE, rtol=0)


def test_the_pass_that_fills_it_is_plain_attention() -> None:
    whole = states(WIDTH, 2, 0)
    cache = WholeCache(canvas_layout(), DenseAttention(canvas_layout()))
    assert torch.equal(cache.attend(0, *whole, scale=0.3), DenseAttention(canvas_layout()).attend(0, *whole, scale=0.3))


def test_window_positions_of_nobody_are_numbers_and_change_nothing() -> None:
    whole, new = states(WIDTH, 2, 0), states(3, 2, 1)
    loud = [part.clone() for part in new]
    for part in loud:
        part[1, :, 2:] = 1e6
    layout = window([2, 1], [3, 2])
    quiet, noisy = (OverwritingAttention(filled(whole), layout).attend(0, *own, scale=0.3) for own in (new, loud))
    assert torch.equal(quiet[1, :, :2], noisy[1, :, :2])
    assert bool(noisy.isfinite().all())
