"""The view record and its context."""

import pytest
import torch

from dllm_rl.records import View, ViewContext


def test_targets_weigh_one() -> None:
    mask = torch.tensor([False, True, True])
    view = View.of_targets(mask, mask, draw=3)
    assert view.weight.tolist() == [0, 1, 1]
    assert view.weight.dtype == torch.float32
    assert view.draw == 3


def test_fields_of_other_lengths_are_refused() -> None:
    mask = torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"'block' has shape \(2,\), masked has \(3,\)"):
        View.of_targets(mask, mask, block=torch.zeros(2, dtype=torch.long))


def test_a_context_needs_a_positive_block_size() -> None:
    assert ViewContext() == ViewContext(block_size=None, seed=0, pad_token_id=None)
    with pytest.raises(ValueError, match="block_size is 0; it must be 1 or larger"):
        ViewContext(block_size=0)
