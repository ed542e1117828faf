"""Statistics of importance ratios."""

import pytest

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.objectives import RatioStatistics, ratio_statistics
from tests.helpers.targets import single


def test_figures_by_hand() -> None:
    # Ratios 1.65 and .61: of each only the advantage's sign that the clip stops counts as clipped.
    found = ratio_statistics(single([0.5, 0.5, -0.5, -0.5, 0.0], [1, -1, 1, -1, 1]), TokenClipOptions())
    assert found.clip_fraction == pytest.approx(2 / 5)
    assert (found.ratio_min, found.ratio_max) == (pytest.approx(0.606531, abs=1e-5), pytest.approx(1.648721, abs=1e-5))
    assert found.approx_kl == pytest.approx((2 * 0.148721 + 2 * 0.106531) / 5, abs=1e-5)
    assert ratio_statistics(single([0.5], [1]), TokenClipOptions()).approx_kl == pytest.approx(0.148721, abs=1e-5)


def test_the_upper_bound_counts() -> None:
    batch = single([0.25], [1])
    assert ratio_statistics(batch, TokenClipOptions(eps_high=0.3)).clip_fraction == 0
    assert ratio_statistics(batch, TokenClipOptions(eps_high=0.28)).clip_fraction == 1


def test_no_gradient_is_kept_and_none_is_needed() -> None:
    batch = single([0.5], [1])
    batch.logps.requires_grad_()
    assert ratio_statistics(batch, TokenClipOptions()).ratio_max == pytest.approx(1.648721, abs=1e-5)


def test_an_empty_batch_is_on_policy() -> None:
    assert ratio_statistics(single([], []), TokenClipOptions()) == RatioStatistics(0.0, 1.0, 1.0, 0.0)
