"""How many positions are due at a step."""

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.schedules import even_split, num_steps, timestep_share


@pytest.mark.parametrize(("total", "steps", "shares"), [
    (4, 4, [1, 1, 1, 1]), (4, 2, [2, 2]), (8, 3, [3, 3, 2]), (5, 3, [2, 2, 1]), (3, 1, [3]), (2, 4, [1, 1, 0, 0])])
def test_an_even_split(total: int, steps: int, shares: list[int]) -> None:
    assert even_split(total, steps, torch.arange(steps)).tolist() == shares
    assert even_split(torch.full((steps,), total), steps, torch.arange(steps)).tolist() == shares


def test_steps_of_a_block() -> None:
    assert (num_steps(DecodingConfig(), 8), num_steps(DecodingConfig(denoising_steps_per_block=3), 8)) == (8, 3)


@pytest.mark.parametrize(("size", "steps", "counts"), [
    (32, 32, [0, *[1] * 29, 2]), (32, 16, [*[2] * 14, 3]), (32, 8, [4, 4, 4, 4, 4, 5, 6]), (4, 4, [0, 1, 2]), (4, 2, [3])])
def test_dreams_schedule_behind_an_opening(size: int, steps: int, counts: list[int]) -> None:
    """The published counts (SPEC 1.4): one position is revealed by the opening, step 0."""
    left, found = size - 1, []
    for number in range(1, steps):
        share = int(timestep_share(torch.tensor([left]), steps, torch.tensor([number]), 1e-3))
        found.append(share)
        left -= share
    assert (found, left) == (counts, 0)


def test_beyond_the_last_step_everything_is_due() -> None:
    assert timestep_share(torch.tensor([5, 7]), 4, torch.tensor([3, 9]), 1e-3).tolist() == [5, 7]
    assert timestep_share(torch.tensor([5]), 1, torch.tensor([0]), 1e-3).tolist() == [5]
