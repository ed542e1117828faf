"""Which form a batch is computed in."""

import torch

from dllm_rl.attention.choice import SHORT, attention_for
from dllm_rl.attention.chunked import ChunkedAttention
from dllm_rl.attention.dense import DenseAttention
from tests.helpers.layouts import tokens


def test_short_rows_are_dense_and_long_ones_chunked_on_a_cpu() -> None:
    for length, form in ((SHORT, DenseAttention), (SHORT + 1, ChunkedAttention)):
        place = torch.arange(length)
        assert isinstance(attention_for(tokens(place, place // 4, 0).reshape(1, -1)), form)
