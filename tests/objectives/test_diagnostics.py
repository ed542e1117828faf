"""Statistics of importance ratios."""

from collections.abc import Callable

import pytest
import torch

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.objectives import RatioStatistics, ratio_statistics
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.records import TargetBatch
from tests.helpers.targets import single


def clipped(**options: float) -> Callable[[TargetBatch], torch.Tensor]:
    return lambda batch: token_clip(batch, TokenClipOptions(**options))


def test_figures_by_hand() -> None:
    # Ratios 1.65 and .61: of each only the advantage's sign that the clip stops counts as clipped.
    found = ratio_statistics(single([0.5, 0.5, -0.5, -0.5, 0.0], [1, -1, 1, -1, 1]), clipped())
    assert found.clip_fraction == pytest.approx(2 / 5)
    assert (found.ratio_min, found.ratio_max) == (pytest.approx(0.606531, abs=1e-5), pytest.approx(1.648721, abs=1e-5))
    assert found.approx_kl == pytest.approx((2 * 0.148721 + 2 * 0.106531) / 5, abs=1e-5)
    assert ratio_statistics(single([0.5], [1]), clipped()).approx_kl == pytest.approx(0.148721, abs=1e-5)


def test_the_upper_bound_counts() -> None:
    batch = single([0.25], [1])
    assert ratio_statistics(batch, clipped(eps_high=0.3)).clip_fraction == 0
    assert ratio_statistics(batch, clipped(eps_high=0.28)).clip_fraction == 1


def test_a_target_without_an_advantage_is_not_clipped() -> None:
    assert ratio_statistics(single([0.5, 0.5, 0.5], [0, 0, 1]), clipped()).clip_fraction == 1
    assert ratio_statistics(single([0.5], [0]), clipped()).clip_fraction == 0


def test_no_gradient_is_kept_and_none_is_needed() -> None:
    batch = single([0.5], [1])
    batch.logps.requires_grad_()
    assert ratio_statistics(batch, clipped()).ratio_max == pytest.approx(1.648721, abs=1e-5)


def test_an_empty_batch_is_on_policy() -> None:
    assert ratio_statistics(single([], []), clipped()) == RatioStatistics(0.0, 1.0, 1.0, 0.0)
