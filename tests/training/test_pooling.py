"""Importance levels: items by hand, and the two-pass gradient against one graph over everything."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dllm_rl.config.options import ReductionOptions, TokenClipOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import Targets, target_logprobs
from dllm_rl.likelihood.targets import enumerate_targets
from dllm_rl.objectives.kl import k3
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.objectives.reduction import BatchSizes, target_scale
from dllm_rl.records import Sample, TargetBatch, View
from dllm_rl.training.pooling import LEVELS, PooledBatch, pool_responses, pool_tokens
from dllm_rl.views import build_views

SAMPLES = [Sample(list(range(20, 20 + length)), list(range(60, 60 + 2 * length)), None) for length in (3, 5, 8)]
SIZES = BatchSizes(16, 32, 32)
ADVANTAGES = torch.tensor([1.0, -1.0, 0.5])
POOLED = [name for name, kind in LEVELS.items() if issubclass(kind, PooledBatch)]


@pytest.fixture(scope="module", params=["sdar", "llada"])
def lm(request: pytest.FixtureRequest, reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / request.param / "ckpt")


def items(batch: TargetBatch) -> Tensor:
    return token_clip(batch, TokenClipOptions(eps=0.1)) + 0.3 * batch.kl_factor * k3(batch)


def two_tokens() -> tuple[list[View], Targets]:
    """A prompt of 1 and two tokens; t = .4 masks the first."""
    masks = torch.tensor([[0, 1, 1], [0, 1, 0], [0, 0, 1]]).bool()
    views = [View(mask, mask, mask * weight) for mask, weight in zip(masks, (0.5, 0.5 / 0.4, 0.5 / 0.6), strict=True)]
    return views, enumerate_targets([Sample([1], [2, 3])], [views])


def test_a_token_is_the_weighted_sum_over_its_views() -> None:
    pooling = pool_tokens(two_tokens()[1])
    # METHODS 2.7, new: both masked .6 and .5; y1 behind y2 .8, y2 behind y1 .7. Targets by view, then position.
    found = pooling.sums(torch.tensor([0.6, 0.5, 0.8, 0.7]).log())
    assert found.tolist() == pytest.approx([0.5 * (math.log(0.6) + math.log(0.8) / 0.4),
                                            0.5 * (math.log(0.5) + math.log(0.7) / 0.6)])
    assert pooling.response.tolist() == [0, 0]


def test_a_response_is_the_weighted_mean_of_its_targets() -> None:
    found = pool_responses(two_tokens()[1]).sums(torch.tensor([0.6, 0.5, 0.8, 0.7]).log())
    weights, logs = (0.5, 0.5, 1.25, 0.5 / 0.6), [math.log(value) for value in (0.6, 0.5, 0.8, 0.7)]
    mean = sum(weight * log for weight, log in zip(weights, logs, strict=True)) / sum(weights)
    assert found.tolist() == pytest.approx([mean])


def gradients(lm: LanguageModel) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in lm.backbone.parameters()]


@pytest.mark.parametrize("level", POOLED)
@pytest.mark.parametrize("max_tokens", [64, 4096])
def test_the_gradient_is_that_of_one_graph(lm: LanguageModel, level: str, max_tokens: int) -> None:
    views = build_views("three_pass", SAMPLES, block_size=lm.block_size or "full", seed=4)
    reduction, kl_reduction = ReductionOptions(divisor="padded_length"), ReductionOptions(divisor="views")
    batch = LEVELS[level](lm, SAMPLES, views, ADVANTAGES, SIZES, reduction, max_tokens, kl_reduction)
    assert isinstance(batch, PooledBatch)
    noise = torch.randn(len(batch.targets.labels), generator=torch.Generator().manual_seed(0))
    old = batch.remember_old().logps + 0.2 * noise
    batch._columns = replace(batch._columns, old_logps=old)
    lm.backbone.zero_grad()
    found = batch.backward(items)
    ours = gradients(lm)

    pooling = batch.pool(batch.targets)
    whole = torch.cat([values for own in target_logprobs(lm, SAMPLES, views) for values in own])
    row = pooling.response
    scale = target_scale(reduction, row, torch.ones(len(row)), SIZES)
    direct = TargetBatch(pooling.sums(whole), pooling.sums(old), ADVANTAGES[row], scale, row, row, 16.0)
    lm.backbone.zero_grad()
    loss = (direct.scale * items(direct)).sum()
    loss.backward()
    assert found.loss == pytest.approx(float(loss.detach()), abs=1e-5)
    for mine, theirs in zip(ours, gradients(lm), strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-5 * float(theirs.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("level", POOLED)
def test_the_first_update_is_on_policy_and_figures_are_of_items(lm: LanguageModel, level: str) -> None:
    views = build_views("three_pass", SAMPLES, block_size=lm.block_size or "full")
    batch = LEVELS[level](lm, SAMPLES, views, ADVANTAGES, SIZES, ReductionOptions(divisor="answer_tokens"), 4096)
    seen = batch.batch(batch.backward(items))
    assert torch.equal(seen.logps, seen.old_logps)
    assert len(seen.logps) == {"token": 6 + 10 + 16, "sequence": 3}[level]
    assert torch.equal(seen.advantages, ADVANTAGES[seen.response])


def test_on_policy_the_level_changes_no_gradient_of_a_sum(lm: LanguageModel) -> None:
    """At ratios of 1 the slope of every token is -A, so that targets by their weights give the same gradient."""
    views = build_views("three_pass", SAMPLES, block_size=lm.block_size or "full")
    found = []
    for level in ("target", "token"):
        batch = LEVELS[level](lm, SAMPLES, views, ADVANTAGES, SIZES, ReductionOptions(divisor="answer_tokens"), 4096)
        lm.backbone.zero_grad()
        batch.backward(lambda targets: token_clip(targets, TokenClipOptions()))
        found.append(gradients(lm))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=1e-4)


def test_every_option_has_a_level() -> None:
    assert set(LEVELS) == set(RlConfig.model_fields["importance_level"].annotation.__args__)  # type: ignore[union-attr]


