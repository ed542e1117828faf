"""The block cache: equal to attention over the whole sequence, and blind to slots that hold nothing."""

import pytest
import torch

from dllm_rl.attention import DenseAttention
from dllm_rl.decoding.cache import BlockCache, CachedAttention, RecordedAttention
from dllm_rl.decoding.canvas import Canvas
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT

SIZE, HEADS, HEAD_SIZE, CAPACITY = 4, 4, 8, 32
TOLERANCE = 1e-6
"""fp32 rounding of another order of summation."""


def prefix(lengths: list[int]) -> Layout:
    """Clean prompt blocks of unequal number; slots behind a row's prompt are pads."""
    position = torch.arange(max(lengths)).expand(len(lengths), -1)
    real = position < torch.tensor(lengths)[:, None]
    return Layout(position, torch.where(real, 0, position + 1), torch.full_like(position, NO_PARENT),
                  torch.zeros_like(position), position // SIZE)


def block(starts: list[int]) -> Layout:
    return Canvas.open(torch.tensor(starts), [[] for _ in starts], SIZE, mask_token_id=0).layout


def random_states(rows: int, num: int, kv_heads: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, heads, num, HEAD_SIZE, generator=generator) for heads in (HEADS, kv_heads, kv_heads)]


def empty_cache(rows: int) -> BlockCache:
    nothing = torch.zeros(rows, 0, dtype=torch.long)
    return BlockCache(Layout(*[nothing] * 5), CAPACITY)


def filled_cache(lengths: list[int], states: list[torch.Tensor]) -> BlockCache:
    cache, layout = empty_cache(len(lengths)), prefix(lengths)
    RecordedAttention(cache, DenseAttention(layout)).attend(0, *states, scale=0.3)
    cache.commit(layout)
    return cache


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_a_block_against_the_cache_equals_the_whole_sequence(kv_heads: int) -> None:
    lengths = [8, 0, 12]
    prompt, *blocks = (random_states(3, num, kv_heads, seed) for seed, num in enumerate([12, SIZE, SIZE]))
    cache, seen = filled_cache(lengths, prompt), [prompt]
    for number, states in enumerate(blocks):
        layout = block([length + number * SIZE for length in lengths])
        draft = random_states(3, SIZE, kv_heads, seed=9)  # a pass that still saw masks leaves no trace
        CachedAttention(cache, layout).attend(0, *draft, scale=0.3)
        found = CachedAttention(cache, layout).attend(0, *states, scale=0.3)
        whole_layout = Layout.join([cache.layout, layout])
        cache.commit(layout)
        seen.append(states)
        whole = [torch.cat(parts, dim=2) for parts in zip(*seen, strict=True)]
        expected = DenseAttention(whole_layout).attend(0, *whole, scale=0.3)[:, :, -SIZE:]
        torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_slots_of_no_row_are_never_seen() -> None:
    lengths = [8, 4]
    states = random_states(2, 8, 2, seed=0)
    loud = [tensor.clone() for tensor in states]
    for tensor in loud:
        tensor[1, :, 4:] = 1e6
    query = random_states(2, SIZE, 2, seed=1)
    quiet, noisy = (CachedAttention(filled_cache(lengths, some), block(lengths)).attend(0, *query, scale=0.3)
                    for some in (states, loud))
    assert torch.equal(quiet, noisy)


def test_a_row_without_a_prefix_sees_its_own_block_only() -> None:
    cache = filled_cache([8, 0], random_states(2, 8, 2, seed=0))
    states = random_states(2, SIZE, 2, seed=1)
    layout = block([8, 0])
    found = CachedAttention(cache, layout).attend(0, *states, scale=0.3)
    alone = DenseAttention(layout).attend(0, *states, scale=0.3)
    torch.testing.assert_close(found[1], alone[1], atol=TOLERANCE, rtol=0)


def test_rows_that_stay_keep_their_keys() -> None:
    lengths = [8, 4, 0]
    cache, query = filled_cache(lengths, random_states(3, 8, 2, seed=0)), random_states(3, SIZE, 2, seed=1)
    expected = CachedAttention(cache, block(lengths)).attend(0, *query, scale=0.3)
    cache.keep_rows(torch.tensor([0, 2]))
    found = CachedAttention(cache, block([8, 0])).attend(0, *(tensor[[0, 2]] for tensor in query), scale=0.3)
    torch.testing.assert_close(found, expected[[0, 2]], atol=TOLERANCE, rtol=0)


def test_each_layer_has_its_own_keys() -> None:
    cache, layout = empty_cache(1), block([0])
    first, second = (random_states(1, SIZE, 2, seed=seed) for seed in (0, 1))
    attention = CachedAttention(cache, layout)
    for layer, states in enumerate((first, second)):
        attention.attend(layer, *states, scale=0.3)
    cache.commit(layout)
    query = random_states(1, SIZE, 2, seed=2)
    outs = [CachedAttention(cache, block([4])).attend(layer, *query, scale=0.3) for layer in (0, 1)]
    assert not torch.allclose(*outs)
