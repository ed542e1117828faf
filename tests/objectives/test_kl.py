"""KL terms."""

import math

import pytest
import torch

from dllm_rl.objectives.kl import k1, k3
from dllm_rl.registry import KL_TERMS
from tests.helpers.targets import batch_of, single


@pytest.mark.parametrize(("divisor", "expected"), [("padded_length", 0.000276), ("targets", 0.000276 * 2)])
def test_k3_of_the_specification(divisor: str, expected: float) -> None:
    batch = batch_of(torch.tensor([[-0.8, -2.1, -0.9, -3]]), torch.tensor([[-1.0, -2, -0.5, -3]]),
                     torch.tensor([[1, 0, 1, 0]]), [1.5], 4, divisor)
    assert 0.01 * float((batch.scale * k3(batch)).sum()) == pytest.approx(expected, abs=1e-6)
    # Upstream's full-attention form sums instead.
    assert 0.01 * float(k3(batch).sum()) == pytest.approx(0.001106, abs=1e-6)


def test_items_by_hand() -> None:
    batch = single([0.2, -0.4, 0.187969], [1, 1, 1])
    assert k1(batch).tolist() == pytest.approx([0.2, -0.4, 0.187969], abs=2e-6)
    assert k3(batch).tolist() == pytest.approx([0.018731, 0.091825, 0.016609], abs=2e-6)


def test_the_exponent_of_k3_is_clamped() -> None:
    batch = single([-15.0, 15.0], [1, 1])
    assert k3(batch).tolist() == pytest.approx([math.exp(10) - 16, math.exp(-10) + 14], rel=1e-6)
    assert k1(batch).tolist() == [-15, 15]


@pytest.mark.parametrize("name", list(KL_TERMS))
def test_every_term_is_0_on_policy_and_keeps_its_shape(name: str) -> None:
    term = KL_TERMS.load(name)
    assert KL_TERMS.options(name)() is not None
    found = term(single([0.0, 0, 0], [1, -1, 2]))
    assert found.tolist() == [0, 0, 0] and found.dtype == torch.float32
    assert term(single([], [])).shape == (0,)


@pytest.mark.parametrize("name", list(KL_TERMS))
def test_every_term_estimates_the_divergence_of_its_direction(name: str) -> None:
    """Means over samples of the new policy: every estimator of KL(new || old) gives its exact value."""
    new, old = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.2, 0.3, 0.5]).log()
    batch = batch_of(new[None], old[None], torch.ones(1, 3), [1.0], 3)
    exact = float((new.exp() * (new - old)).sum())
    assert float((new.exp() * KL_TERMS.load(name)(batch)).sum()) == pytest.approx(exact, abs=1e-6)
