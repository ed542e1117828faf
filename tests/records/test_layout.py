"""Layouts of one shape, and how they are cut and joined."""

import pytest
import torch

from dllm_rl.records import Layout


def test_index_join_and_reshape_act_on_all_five() -> None:
    layout = Layout(*(torch.arange(4) + 10 * number for number in range(5)))
    joined = Layout.join([layout.index(slice(2, None)), layout.index(slice(0, 2))])
    assert [tensor.tolist() for tensor in joined.tensors()] == [
        [10 * number + place for place in (2, 3, 0, 1)] for number in range(5)]
    assert joined.reshape(1, -1).view.shape == (1, 4)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        Layout(*(torch.arange(4) for _ in range(4)), torch.arange(3))
