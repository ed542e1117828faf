"""Attention to the slot cache equals the attention rule on the same tokens."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.attention import may_attend
from dllm_rl.engine.slot_attention import SlotAttention
from dllm_rl.engine.slot_cache import SlotCache
from dllm_rl.records import Layout

HEADS, GROUPS, SIZE, BLOCK = 4, 2, 8, 4


def clean(row: torch.Tensor, position: torch.Tensor) -> Layout:
    zeros = torch.zeros_like(row)
    return Layout(position, doc=row, parent=zeros - 1, view=zeros, block=position // BLOCK)


def test_a_ragged_pass_equals_the_rule() -> None:
    """Two sequences with 8 and 4 cached tokens; the first has a finished block and its next one in the pass."""
    generator = torch.Generator().manual_seed(0)
    cached_row = torch.tensor([0] * 8 + [1] * 4)
    cached_position = torch.tensor([*range(8), *range(4)])
    row = torch.tensor([0] * 8 + [1] * 4)
    position = torch.tensor([*range(8, 16), *range(4, 8)])
    place = torch.tensor([*range(8), *range(12, 16)])          # rows of 8 places; the second row's block stands at its end

    def draw(heads: int, tokens: int) -> torch.Tensor:
        return torch.randn(1, heads, tokens, SIZE, generator=generator)

    cache = SlotCache(torch.device("cpu"))
    cache.resize(3, 20)
    old_key, old_value = draw(GROUPS, 12), draw(GROUPS, 12)
    cache.write(0, old_key[0].transpose(0, 1), old_value[0].transpose(0, 1), cached_row, cached_position)
    query, key, value = draw(HEADS, 12), draw(GROUPS, 12), draw(GROUPS, 12)
    border = (position // BLOCK + 1) * BLOCK
    found = SlotAttention(cache, row, position, place, (2, 8), border, 17).attend(0, query, key, value, 0.3)
    layout, before = clean(row, position), clean(cached_row, cached_position)
    mask = may_attend(layout, Layout.join([before, layout]))
    expected = scaled_dot_product_attention(query, torch.cat([old_key, key], 2), torch.cat([old_value, value], 2),
                                            attn_mask=mask, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_other_rows_stay_as_they_were() -> None:
    cache = SlotCache(torch.device("cpu"))
    cache.resize(3, 8)
    ones = torch.ones(4, GROUPS, SIZE)
    cache.write(0, ones, ones, torch.full((4,), 2), torch.arange(4))
    keys, _ = cache.write(0, 2 * ones, ones, torch.full((4,), 1), torch.arange(4))
    assert keys[2, :, :4].eq(1).all() and keys[1, :, :4].eq(2).all() and keys[0].eq(0).all()
    cache.copy(2, 0, 3)
    assert keys[0, :, :3].eq(1).all() and keys[0, :, 3:].eq(0).all()
