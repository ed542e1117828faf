"""The open form equals the dense one where it applies, in values and gradients."""

import pytest
import torch

from dllm_rl.attention.dense import DenseAttention
from dllm_rl.attention.open import OpenAttention, is_open
from dllm_rl.records import Layout
from tests.helpers.layouts import tokens


def rows(block: torch.Tensor, num_rows: int) -> Layout:
    place = torch.arange(len(block))
    return tokens(place, block, 0).reshape(num_rows, -1)


@pytest.mark.parametrize("heads", [2, 4])
def test_it_equals_the_dense_form(heads: int) -> None:
    layout = rows(torch.arange(3).repeat_interleave(7), 3)
    assert is_open(layout)
    drawn = torch.Generator().manual_seed(0)
    inputs = [torch.randn(3, number, 7, 8, generator=drawn, requires_grad=True) for number in (heads, 2, 2)]
    found = [form.attend(0, *inputs, 0.3) for form in (OpenAttention(), DenseAttention(layout))]
    torch.testing.assert_close(*found)
    slopes = [torch.autograd.grad(out.square().sum(), inputs) for out in found]
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_one_other_block_view_or_document_closes_a_row() -> None:
    layout = rows(torch.zeros(8, dtype=torch.long), 2)
    for name in ("doc", "view", "block"):
        changed = vars(layout)[name].clone()
        changed[1, 3] += 1
        assert not is_open(Layout(**{**vars(layout), name: changed}))
    assert is_open(Layout(**{**vars(layout), "position": layout.position * 0}))
