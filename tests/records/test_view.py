"""Fields of a view have one shape."""

import pytest
import torch

from dllm_rl.records import View


def test_targets_weigh_one() -> None:
    masked, target = torch.tensor([True, True, False]), torch.tensor([False, True, False])
    assert View.of_targets(masked, target).weight.tolist() == [0.0, 1.0, 0.0]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"'block' has shape \(2,\), masked has \(3,\)"):
        View.of_targets(torch.ones(3).bool(), torch.ones(3).bool(), block=torch.zeros(2))
