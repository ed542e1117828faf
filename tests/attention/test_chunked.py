"""The chunked form against the dense one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.attention.chunked import ChunkedAttention, plan_chunks
from dllm_rl.attention.context import AttentionContext
from dllm_rl.attention.dense import DenseAttention
from dllm_rl.records import Layout
from tests.helpers.layouts import random_mix, with_views

TOLERANCE = 5e-6
"""Two orders of summation of a few hundred fp32 products of order 1."""


def values_and_gradients(context: AttentionContext, inputs: list[torch.Tensor], grad: torch.Tensor
                         ) -> list[torch.Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    out = context.attend(0, *leaves, scale=0.25)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def random_inputs(batch: int, length: int, heads: tuple[int, int] = (4, 2)) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    query, key, value, grad = (torch.randn(batch, num, length, 16, generator=generator)
                               for num in (heads[0], heads[1], heads[1], heads[0]))
    return [query, key, value], grad


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1, 7, 32, 128]))
def test_equal_to_dense_on_random_layouts(seed: int, size: int) -> None:
    layout = random_mix(seed).reshape(1, -1)
    inputs, grad = random_inputs(1, layout.doc.shape[1])
    dense = values_and_gradients(DenseAttention(layout), inputs, grad)
    chunked = values_and_gradients(ChunkedAttention(layout, size), inputs, grad)
    for ours, theirs in zip(chunked, dense, strict=True):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    one = random_mix(3)
    both = Layout(*(torch.stack([tensor, tensor.flip(0)]) for tensor in one.tensors()))
    inputs, grad = random_inputs(2, one.doc.shape[0])
    dense = values_and_gradients(DenseAttention(both), inputs, grad)
    for ours, theirs in zip(values_and_gradients(ChunkedAttention(both, 32), inputs, grad), dense, strict=True):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_no_chunk_holds_keys_that_nobody_sees() -> None:
    layout = with_views(prompt=64, response=192, size=4, num_views=2, doc=0)
    chunks = plan_chunks(layout, size=64)
    assert sum(len(chunk.queries) for chunk in chunks) == len(layout.doc)
    assert max(len(chunk.keys) for chunk in chunks) < len(layout.doc)
    assert all(chunk.mask is None or chunk.mask.any(0).all() for chunk in chunks)


@pytest.mark.parametrize("heads", [(4, 4), (4, 1)])
def test_any_ratio_of_heads(heads: tuple[int, int]) -> None:
    layout = random_mix(5).reshape(1, -1)
    inputs, grad = random_inputs(1, layout.doc.shape[1], heads)
    dense = values_and_gradients(DenseAttention(layout), inputs, grad)
    for ours, theirs in zip(values_and_gradients(ChunkedAttention(layout, 32), inputs, grad), dense, strict=True):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)
