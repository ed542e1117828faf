"""Scheduled views: the paper's formula, and masks of its ratio."""

import pytest

from dllm_rl.config.options import ScheduledViewOptions
from dllm_rl.records import Sample, ViewContext
from dllm_rl.views.scheduled import scheduled_views, timestep
from tests.helpers.samples import letters

SAMPLE = Sample([1, 2], [7] * 10_000)


def timesteps(options: ScheduledViewOptions, passes: int, seed: int = 0) -> list[int]:
    """Of all passes."""
    return [timestep(SAMPLE, options, ViewContext(seed=seed, pass_number=number, num_passes=passes))
            for number in range(passes)]


def test_the_formula_as_printed() -> None:
    options = ScheduledViewOptions(first_timestep=100)
    assert timesteps(options, 5) == [100, 325, 550, 775, 1000]       # divided by mu - 1
    assert timesteps(options, 4) == [100, 400, 700, 1000]
    assert timesteps(options, 1) == [100]
    assert timesteps(ScheduledViewOptions(first_timestep=3, num_timesteps=10), 3) == [3, 6, 10]


def test_the_start_is_uniform_over_the_timesteps_and_stays_through_the_passes() -> None:
    starts = [timesteps(ScheduledViewOptions(num_timesteps=4), 1, seed)[0] for seed in range(2000)]
    # A share of 2000 draws has a standard deviation of 0.0097.
    assert all(abs(starts.count(value) / 2000 - 0.25) < 0.04 for value in (1, 2, 3, 4))
    first, *_, last = found = timesteps(ScheduledViewOptions(), 7, seed=5)
    assert last == 1000 and found == [first + (1000 - first) * number // 6 for number in range(7)]


def test_a_pass_masks_its_ratio_of_the_response_alone() -> None:
    for number, share in ((0, 0.1), (2, 0.55), (4, 1.0)):
        context = ViewContext(block_size="full", pass_number=number, num_passes=5)
        [view] = scheduled_views(SAMPLE, ScheduledViewOptions(first_timestep=100), context)
        # A share of 10000 tokens has a standard deviation of at most 0.005.
        assert abs(float(view.target.sum()) / 10_000 - share) < 0.02
        assert view.masked.equal(view.target) and view.draw == number and view.weight.max() == 1


def test_an_empty_mask_gives_no_view() -> None:
    context = ViewContext(block_size="full")
    assert scheduled_views(Sample([1], [2]), ScheduledViewOptions(first_timestep=1), context) == []
    [view] = scheduled_views(Sample([1], [2, 3]), ScheduledViewOptions(first_timestep=1, num_timesteps=1), context)
    assert letters(view, Sample([1], [2, 3])) == ("MM", "TT")


def test_a_start_beyond_the_last_level_and_a_pass_too_many_are_errors() -> None:
    with pytest.raises(ValueError, match="first_timestep 11 is larger than num_timesteps 10"):
        ScheduledViewOptions(first_timestep=11, num_timesteps=10)
    with pytest.raises(ValueError, match="pass_number is 2; it counts from 0 and must be below num_passes 2"):
        ViewContext(pass_number=2, num_passes=2)
