"""Policy losses: the specification's and the reference's numbers, gradients at and beyond the clip."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dllm_rl.config.options import TokenClipOptions
from dllm_rl.config.presets import DIPO
from dllm_rl.config.rl import RlConfig
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.registry import KL_TERMS, POLICY_LOSSES
from tests.helpers.reference import entries
from tests.helpers.targets import batch_of, single

NEW, OLD = torch.tensor([[-0.8, -2.1, -0.9, -3]]), torch.tensor([[-1.0, -2, -0.5, -3]])
TARGETS = torch.tensor([[1, 0, 1, 0]])


@pytest.mark.parametrize(("advantage", "divisor", "expected"), [
    (1.5, "padded_length", -0.701370), (1.5, "targets", -1.402740),
    (-0.5, "padded_length", 0.252675), (-0.5, "targets", 0.505351)])
def test_token_clip_of_the_specification(advantage: float, divisor: str, expected: float) -> None:
    batch = batch_of(NEW, OLD, TARGETS, [advantage], 4, divisor)
    assert float((batch.scale * token_clip(batch, TokenClipOptions())).sum()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("advantage", "divisor", "kl_divisor", "kl", "total"), [
    (1.5, "padded_length", "padded_length", 0.000276, -0.701094), (1.5, "targets", "views", 0.001106, -1.401634),
    (-0.5, "padded_length", "padded_length", 0.000276, 0.252952), (-0.5, "targets", "views", 0.001106, 0.506456)])
def test_kl_and_total_of_the_specification(advantage: float, divisor: str, kl_divisor: str, kl: float,
                                           total: float) -> None:
    policy, term = (batch_of(NEW, OLD, TARGETS, [advantage], 4, name) for name in (divisor, kl_divisor))
    drift = 0.01 * float((term.scale * KL_TERMS.load("k3")(term)).sum())
    assert drift == pytest.approx(kl, abs=1e-6)
    assert float((policy.scale * token_clip(policy, TokenClipOptions())).sum()) + drift == pytest.approx(total, abs=1e-6)


def reference_loss(entry: dict[str, Any], old_logps: torch.Tensor) -> float:
    """An entry's loss from its stored log-probs."""
    config = entry["config"]
    batch = batch_of(entry["logp"], old_logps, entry["p_mask"], entry["row_rewards"], entry["L1"])
    term = KL_TERMS.load("k3" if config["use_kl_estimator_k3"] else "k1")
    items = token_clip(batch, TokenClipOptions(eps=config["eps"])) + config["beta"] * term(batch)
    return float((batch.scale * items).sum())


@pytest.mark.parametrize("name", ["trace", "trace_shrink2_post1_k3", "trace_klk1", "trace_nomap", "random_masking",
                                  "coupled"])
def test_losses_of_the_reference(reference_dir: Path, name: str) -> None:
    entry = entries(reference_dir, "sdar", "training")[name]
    assert reference_loss(entry, entry["logp"]) == pytest.approx(entry["loss_on_policy"], abs=1e-6)
    assert reference_loss(entry, entry["old_logp"]) == pytest.approx(entry["loss_old_logp"], abs=1e-5)


@pytest.mark.parametrize(("log_ratio", "advantage", "item", "slope"), [
    (0.0, 2.0, -2.0, -2.0),                       # on policy: the plain policy gradient
    (0.1, 2.0, -2.210342, -2.210342),             # ratio 1.105, within the band
    (0.5, 2.0, -2.4, 0.0),                        # ratio 1.65, clipped at 1.2, pulls no more
    (0.5, -2.0, 3.297443, 3.297443),              # the same ratio with a bad token still pulls
    (-0.5, 2.0, -1.213061, -1.213061),
    (-0.5, -2.0, 1.6, 0.0),
    (12.0, -1.0, 22026.4657948, 0.0),             # the log-ratio is clamped to 10
])
def test_items_and_slopes_by_hand(log_ratio: float, advantage: float, item: float, slope: float) -> None:
    batch = single([log_ratio], [advantage])
    batch.logps.requires_grad_()
    found = token_clip(batch, TokenClipOptions())
    found.sum().backward()
    assert found.tolist() == pytest.approx([item], rel=1e-5)
    assert batch.logps.grad is not None and batch.logps.grad.tolist() == pytest.approx([slope], rel=1e-5)


def test_the_upper_bound_may_lie_further_out() -> None:
    batch = single([0.25, 0.25, -1.0], [1, 1, -1])
    assert token_clip(batch, TokenClipOptions()).tolist() == pytest.approx([-1.2, -1.2, 0.8])
    wide = token_clip(batch, TokenClipOptions(eps=0.2, eps_high=0.28))
    assert wide.tolist() == pytest.approx([-1.28, -1.28, 0.8])


def test_the_numbers_of_dipo() -> None:
    options = TokenClipOptions(**{key: value for key, value in DIPO[RlConfig]["policy_loss"].items() if key != "name"})
    batch = single([math.log(ratio) for ratio in (1.1, 1.4, 0.9)], [1, 1, 1])
    assert float(token_clip(batch, options).mean()) == pytest.approx(-1.093333, abs=1e-6)      # METHODS 3.17


@pytest.mark.parametrize("name", list(POLICY_LOSSES))
def test_every_policy_loss_is_the_policy_gradient_on_policy(name: str) -> None:
    batch = single([0.0, 0, 0, 0], [1.5, -0.5, 0, 2])
    batch.logps.requires_grad_()
    items = POLICY_LOSSES.load(name)(batch, POLICY_LOSSES.options(name)())
    assert items.shape == (4,) and items.dtype == torch.float32
    items.sum().backward()
    torch.testing.assert_close(batch.logps.grad, -batch.advantages)


@pytest.mark.parametrize("name", list(POLICY_LOSSES))
def test_every_policy_loss_takes_an_empty_batch(name: str) -> None:
    assert POLICY_LOSSES.load(name)(single([], []), POLICY_LOSSES.options(name)()).shape == (0,)


@pytest.mark.parametrize("field", ["eps", "eps_high", "max_log_ratio"])
def test_distances_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}\n.*greater than 0"):
        TokenClipOptions(**{field: 0})
