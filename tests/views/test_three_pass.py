"""Three-pass views: masks, weights, and the sum they make."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.options import ThreePassViewOptions
from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.views.three_pass import shared_ratio, three_pass_views
from tests.helpers.samples import letters, rollouts

LONG = Sample([1, 2], [7] * 20_000)


def test_masks_and_weights_by_hand() -> None:
    context, options = ViewContext(block_size="full", seed=3), ThreePassViewOptions(lower_p=0.4, upper_p=0.4)
    sample = Sample([1, 2], list(range(12)))
    full, mask, rest = three_pass_views(sample, options, context)
    assert letters(full, sample) == ("M" * 12, "T" * 12)
    assert torch.equal(mask.masked[2:], ~rest.masked[2:]) and mask.target.any() and rest.target.any()
    assert full.weight.unique().tolist() == [0, 0.5]
    assert mask.weight.unique().tolist() == pytest.approx([0, 0.5 / 0.4])
    assert rest.weight.unique().tolist() == pytest.approx([0, 0.5 / 0.6])


@given(rollout=rollouts(), seed=st.integers(0, 99))
def test_every_token_has_the_full_mask_and_one_half(rollout: Rollout, seed: int) -> None:
    context = ViewContext(seed=seed)
    ratio = shared_ratio(ThreePassViewOptions(), context)
    views = three_pass_views(rollout, ThreePassViewOptions(), context)
    start, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.response_ids)
    assert torch.stack([view.target for view in views]).sum(0).tolist() == (
        [0] * start + [2] * (end - start) + [0] * len(rollout.tail_ids))
    total = torch.stack([view.weight for view in views]).sum(0)[start:end] - 0.5
    assert bool((((total - 0.5 / ratio).abs() < 1e-5) | ((total - 0.5 / (1 - ratio)).abs() < 1e-5)).all())
    assert all(bool(view.masked[end:].all()) for view in views)


def test_the_weights_make_the_ratio_of_masked_tokens_fair() -> None:
    context, options = ViewContext(block_size="full"), ThreePassViewOptions()
    _, mask, rest = three_pass_views(LONG, options, context)
    ratio = shared_ratio(options, context)
    # A share of 20000 tokens has a standard deviation of at most 0.0036.
    assert abs(float(mask.target.sum()) / 20_000 - ratio) < 0.015
    assert abs(float(rest.target.sum()) / 20_000 - (1 - ratio)) < 0.015


def test_all_samples_of_a_pass_share_the_ratio_and_passes_do_not() -> None:
    options = ThreePassViewOptions()
    found = [shared_ratio(options, ViewContext(seed=seed, pass_number=number, num_passes=3))
             for seed in range(40) for number in range(3)]
    assert len(set(found)) == len(found) and all(0.2 <= ratio <= 0.8 for ratio in found)
    assert abs(sum(found) / len(found) - 0.5) < 0.06       # standard deviation of the mean 0.016
    first, second = (three_pass_views(sample, options, ViewContext(block_size="full"))
                     for sample in (Sample([1], [3, 4, 5]), Sample([2], list(range(9)))))
    assert first[1].weight.max() == second[1].weight.max()


def test_a_reversed_band_and_a_certain_mask_are_errors() -> None:
    with pytest.raises(ValueError, match="lower_p 0.5 is larger than upper_p 0.2"):
        ThreePassViewOptions(lower_p=0.5, upper_p=0.2)
    with pytest.raises(ValueError, match="upper_p\n.*less than 1"):
        ThreePassViewOptions(upper_p=1.0)
