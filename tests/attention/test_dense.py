"""The dense form: a hand-computed value."""

import torch

from dllm_rl.attention.dense import DenseAttention
from tests.helpers.layouts import tokens


def test_a_causal_pair_by_hand() -> None:
    place = torch.arange(2)
    layout = tokens(place, place, 0).reshape(1, -1)
    one = torch.ones(1, 1, 2, 1)
    value = torch.tensor([2.0, 4.0]).reshape(1, 1, 2, 1)
    out = DenseAttention(layout).attend(0, one, one, value, scale=1.0)
    assert out.flatten().tolist() == [2.0, 3.0]      # the first sees itself, the second the mean of both
