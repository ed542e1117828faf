"""Advantages: the specification's vectors and what holds for every entry."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.options import GroupZOptions, LeaveOneOutOptions
from dllm_rl.objectives.advantages import group_z, leave_one_out
from dllm_rl.registry import ADVANTAGES


@pytest.mark.parametrize(("rewards", "expected"), [
    ([1, 0, 0, 1, 1, 0, 0, 0], [1.290994 if one else -0.774597 for one in (1, 0, 0, 1, 1, 0, 0, 0)]),
    ([1, 0, 0, 0], [1.732051, -0.577350, -0.577350, -0.577350]),
    ([5, 3, 3, 1], [1.414214, 0, 0, -1.414214]),
    ([2, 2, 2], [0, 0, 0]),
])
def test_z_scores_of_the_specification(rewards: list[int], expected: list[float]) -> None:
    found = group_z(torch.tensor(rewards), GroupZOptions())
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1e-30, -7.7])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_equal_rewards_give_zeros_whatever_rounding_does(reward: float, size: int) -> None:
    for dtype in (torch.float32, torch.float64):
        assert not group_z(torch.full((size,), reward, dtype=dtype), GroupZOptions()).any()


def test_without_the_deviation_rewards_are_centred() -> None:
    found = group_z(torch.tensor([1.0, 0, 0, 0]), GroupZOptions(divide_by_std=False))
    assert found.tolist() == [0.75, -0.25, -0.25, -0.25]


def test_a_response_is_compared_with_the_others_alone() -> None:
    found = leave_one_out(torch.tensor([3.0, 0, 1]), LeaveOneOutOptions())
    assert found.tolist() == [2.5, -2.0, -0.5]                # 3 - (0 + 1) / 2, 0 - (3 + 1) / 2, 1 - (3 + 0) / 2
    assert leave_one_out(torch.tensor([3.0]), LeaveOneOutOptions()).tolist() == [0.0]


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8).filter(lambda found: len(set(found)) > 1))
def test_z_scores_have_mean_0_and_deviation_1(rewards: list[int]) -> None:
    found = group_z(torch.tensor(rewards), GroupZOptions()).double()
    assert abs(float(found.mean())) < 1e-6 and abs(float(found.square().mean()) - 1) < 1e-6


@pytest.mark.parametrize("name", list(ADVANTAGES))
def test_every_advantage_of_a_group(name: str) -> None:
    advantage, options = ADVANTAGES.load(name), ADVANTAGES.options(name)()
    rewards = torch.tensor([0.5, -1, 2, 0.25])
    found = advantage(rewards, options)
    assert found.shape == (4,) and found.dtype == torch.float32
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(advantage(rewards[order], options), found[order])
    assert found.argmax() == 2 and found.argmin() == 1
    assert not advantage(torch.ones(4), options).any()


@pytest.mark.parametrize("rewards", [torch.zeros(0), torch.zeros(2, 2), torch.tensor([1.0, float("nan")])])
def test_a_group_is_one_finite_number_per_response(rewards: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="a group needs one finite reward per response, got"):
        group_z(rewards, GroupZOptions())
