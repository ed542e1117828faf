"""Random and coupled views: what is drawn, and what is not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.options import RandomViewOptions, SemiArViewOptions
from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.views.random import coupled_views, random_views, semi_ar_views
from tests.helpers.samples import letters, rollouts

LONG = Sample([1, 2, 3, 4], [7] * 40_000)


def masks_per_block(options: RandomViewOptions) -> torch.Tensor:
    """Share of blocks of four with 0, 1, 2, 3, 4 masks."""
    [view] = random_views(LONG, options, ViewContext(block_size=4))
    return torch.bincount(view.masked[4:].reshape(-1, 4).sum(1), minlength=5) / 10_000


@pytest.mark.parametrize(("level", "shares"), [("token", [0.0625, 0.25, 0.375, 0.25, 0.0625]),
                                               ("block", [0.148, 0.230, 0.246, 0.230, 0.148])])
def test_masks_per_block_are_distributed_as_specified(level: str, shares: list[float]) -> None:
    found = masks_per_block(RandomViewOptions.model_validate({"level": level}))
    # 10000 blocks: standard deviation of a share at most 0.005; the seed is fixed.
    torch.testing.assert_close(found, torch.tensor(shares), atol=0.015, rtol=0)


def test_the_band_is_respected() -> None:
    [view] = random_views(LONG, RandomViewOptions(lower_p=0.3, upper_p=0.3), ViewContext(block_size=4))
    assert abs(float(view.masked[4:].double().mean()) - 0.3) < 0.01
    [view] = random_views(LONG, RandomViewOptions(lower_p=1, upper_p=1), ViewContext(block_size=4))
    assert view.masked[4:].all() and not view.masked[:4].any()
    assert random_views(LONG, RandomViewOptions(lower_p=0, upper_p=0), ViewContext(block_size=4)) == []


def test_blocks_of_the_absolute_grid_share_a_probability() -> None:
    sample = Sample([1] * 500, [7] * 2500)
    [view] = random_views(sample, RandomViewOptions(lower_p=0, upper_p=1), ViewContext(1000, seed=10))
    shares = view.masked[500:].reshape(5, 500).double().mean(-1)
    # The blocks' own probabilities lie far apart under this seed; the share of 500 tokens has a standard deviation of
    # at most sqrt(.25 / 500) = 0.022, so halves of one block agree to .1.
    assert float((shares[1::2] - shares[2::2]).abs().max()) < 0.1
    assert float((shares[0:3:2] - shares[1:4:2]).abs().min()) > 0.2


def test_draws_are_numbered_and_differ() -> None:
    sample = Sample([1, 2], list(range(30)))
    views = random_views(sample, RandomViewOptions(mask_times_per_sample=5), ViewContext(block_size=4))
    assert [view.draw for view in views] == [0, 1, 2, 3, 4]
    assert len({letters(view, sample) for view in views}) == 5


def test_more_draws_keep_the_first_ones() -> None:
    sample, context = Sample([1, 2], list(range(30))), ViewContext(block_size=4)
    few, many = (random_views(sample, RandomViewOptions(mask_times_per_sample=times), context) for times in (2, 6))
    assert [letters(view, sample) for view in many[:2]] == [letters(view, sample) for view in few]


def test_seeds_give_other_masks() -> None:
    sample = Sample([1, 2], list(range(30)))
    found = {letters(random_views(sample, RandomViewOptions(), ViewContext(4, seed))[0], sample) for seed in range(8)}
    assert len(found) == 8


@given(rollout=rollouts(), seed=st.integers(0, 99), times=st.integers(1, 3))
def test_coupled_views_partition_the_response(rollout: Rollout, seed: int, times: int) -> None:
    views = coupled_views(rollout, RandomViewOptions(mask_times_per_sample=times), ViewContext(seed=seed))
    counts = torch.stack([view.target for view in views]).sum(0)
    start, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.response_ids)
    assert counts.tolist() == [0] * start + [times] * (end - start) + [0] * len(rollout.tail_ids)
    assert [view.draw for view in views] == sorted(view.draw for view in views)
    for view in views:
        assert torch.equal(view.masked[:end], view.target[:end])
        assert view.masked[end:].all()


def test_the_complement_comes_right_behind_its_draw() -> None:
    sample = Sample([1, 2], list(range(30)))
    options = RandomViewOptions(mask_times_per_sample=3)
    pairs = coupled_views(sample, options, ViewContext(block_size=4))
    plain = random_views(sample, options, ViewContext(block_size=4))
    assert [view.draw for view in pairs] == [0, 0, 1, 1, 2, 2]
    for first, second, alone in zip(pairs[::2], pairs[1::2], plain, strict=True):
        assert torch.equal(first.masked, alone.masked)
        assert torch.equal(second.masked[2:], ~first.masked[2:])


def test_views_of_a_pair_without_target_are_dropped() -> None:
    options = RandomViewOptions(lower_p=1, upper_p=1)
    [view] = coupled_views(Sample([1], [2, 3]), options, ViewContext(block_size=2))
    assert letters(view, Sample([1], [2, 3])) == ("MM", "TT")


def test_semi_ar_draws_a_probability_per_token_unless_told_otherwise() -> None:
    sample, context = Sample([1, 2], list(range(40))), ViewContext(block_size=4)
    found = [letters(view, sample) for view in semi_ar_views(sample, SemiArViewOptions(), context)]
    token, block = ([letters(view, sample) for view in random_views(sample, options, context)]
                    for options in (RandomViewOptions(level="token"), RandomViewOptions()))
    assert found == token != block


def test_a_reversed_band_is_an_error() -> None:
    with pytest.raises(ValueError, match="lower_p 0.5 is larger than upper_p 0.2"):
        RandomViewOptions(lower_p=0.5, upper_p=0.2)
