"""Which form a batch is computed in."""

import torch

from dllm_rl.attention.choice import SHORT, attention_for
from dllm_rl.attention.chunked import ChunkedAttention
from dllm_rl.attention.dense import DenseAttention
from dllm_rl.attention.open import OpenAttention
from tests.helpers.layouts import tokens


def test_short_rows_are_dense_and_long_ones_chunked_on_a_cpu() -> None:
    for length, form in ((SHORT, DenseAttention), (SHORT + 1, ChunkedAttention)):
        place = torch.arange(length)
        assert isinstance(attention_for(tokens(place, place // 4, 0).reshape(1, -1)), form)


def test_rows_of_one_block_need_no_mask() -> None:
    place = torch.arange(2 * SHORT)
    whole = tokens(place, torch.zeros_like(place), 0)
    assert isinstance(attention_for(whole.reshape(1, -1)), OpenAttention)
    assert isinstance(attention_for(tokens(place, place // SHORT, 0).reshape(2, -1)), OpenAttention)
    assert isinstance(attention_for(tokens(place, place // SHORT, 0).reshape(1, -1)), ChunkedAttention)
