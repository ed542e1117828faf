"""Divisors of losses."""

import pytest
import torch

from dllm_rl.config.options import ReductionOptions
from dllm_rl.objectives import BatchSizes, target_scale
from dllm_rl.objectives.reduction import DIVISORS, kl_factor

ROW = torch.tensor([0, 0, 2, 5, 5, 5])
SIZES = BatchSizes(padded_length=4, answer_tokens=10, max_gen_length=16)


def scale_of(divisor: str, row: torch.Tensor = ROW, weight: float = 1.0, sizes: BatchSizes = SIZES) -> torch.Tensor:
    """Scales of targets with equal weights."""
    options = ReductionOptions.model_validate({"divisor": divisor})
    return target_scale(options, row, torch.full((len(row),), weight), sizes)


@pytest.mark.parametrize(("divisor", "expected"), [
    ("padded_length", [1 / 12] * 6),                                       # three views, L1 = 4
    ("max_gen_length", [1 / 48] * 6),
    ("targets", [1 / 6, 1 / 6, 1 / 3, 1 / 9, 1 / 9, 1 / 9]),
    ("views", [1 / 3] * 6),
    ("tokens", [1 / 6] * 6),
    ("answer_tokens", [1 / 10] * 6),
])
def test_scales_by_hand(divisor: str, expected: list[float]) -> None:
    found = scale_of(divisor)
    torch.testing.assert_close(found, torch.tensor(expected))
    torch.testing.assert_close(scale_of(divisor, weight=2.5), 2.5 * found)


def test_every_option_has_a_divisor() -> None:
    assert set(DIVISORS) == set(ReductionOptions.model_fields["divisor"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("divisor", list(DIVISORS))
def test_order_and_numbers_of_views_do_not_matter(divisor: str) -> None:
    order = torch.tensor([3, 0, 5, 2, 1, 4])
    assert torch.equal(scale_of(divisor, ROW[order] * 7 + 3), scale_of(divisor)[order])


@pytest.mark.parametrize("divisor", list(DIVISORS))
def test_a_batch_without_targets_has_no_scales(divisor: str) -> None:
    assert scale_of(divisor, torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_padded_length_is_the_mean_over_rows_of_sums() -> None:
    values = torch.arange(6.0)
    rows = torch.stack([values[ROW.eq(row)].sum() / 4 for row in (0, 2, 5)])
    assert float((scale_of("padded_length") * values).sum()) == pytest.approx(float(rows.mean()))


def test_targets_is_the_mean_over_rows_of_means() -> None:
    values = torch.arange(6.0)
    rows = torch.stack([values[ROW.eq(row)].mean() for row in (0, 2, 5)])
    assert float((scale_of("targets") * values).sum()) == pytest.approx(float(rows.mean()))


@pytest.mark.parametrize("divisor", list(DIVISORS))
@pytest.mark.parametrize("kl_divisor", list(DIVISORS))
def test_a_kl_term_has_its_own_divisor(divisor: str, kl_divisor: str) -> None:
    own, other = (ReductionOptions.model_validate({"divisor": name}) for name in (divisor, kl_divisor))
    weight = torch.arange(1.0, 7)
    found = target_scale(own, ROW, weight, SIZES) * kl_factor(own, other, ROW, SIZES)
    torch.testing.assert_close(found, target_scale(other, ROW, weight, SIZES))


def test_an_unknown_length_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="divisor 'max_gen_length' needs a length limit.*set max_gen_length or choose"):
        scale_of("max_gen_length", sizes=BatchSizes(padded_length=4, answer_tokens=10))
