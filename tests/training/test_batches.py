"""Loss and gradients of an update do not depend on how it is packed."""

from pathlib import Path

import pytest
import torch
from torch.distributions import Categorical

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.options import ReductionOptions, TokenClipOptions
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import target_logprobs
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Sample, TargetBatch, View
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.views import build_views


def policy_loss(batch: TargetBatch) -> torch.Tensor:
    return token_clip(batch, TokenClipOptions())


SAMPLES = [Sample(list(range(20, 20 + length)), list(range(60, 60 + 2 * length)), None) for length in (3, 5, 8, 6)]


@pytest.fixture(scope="module")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


def result(lm: LanguageModel, max_tokens: int, divisor: str) -> tuple[float, list[torch.Tensor]]:
    views = build_views("trace", SAMPLES, block_size=4)
    sizes = BatchSizes(16, sum(len(sample.response_ids) for sample in SAMPLES), 32)
    batch = UpdateBatch(lm, SAMPLES, views, torch.tensor([1.0, -1.0, 0.5, -0.25]), sizes,
                        ReductionOptions(divisor=divisor), max_tokens)
    lm.backbone.zero_grad()
    scores = batch.backward(policy_loss)
    assert torch.equal(batch.batch(scores).logps, batch.batch(scores).old_logps)
    return scores.loss, [parameter.grad.clone() for parameter in lm.backbone.parameters()]


@pytest.mark.parametrize("divisor", ["padded_length", "max_gen_length", "targets", "tokens", "answer_tokens"])
def test_the_token_budget_changes_nothing(lm: LanguageModel, divisor: str) -> None:
    loss, gradients = result(lm, 4096, divisor)
    split_loss, split = result(lm, 50, divisor)
    assert split_loss == pytest.approx(loss, abs=1e-6)
    for ours, theirs in zip(split, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)


def test_a_view_beyond_the_budget_is_named(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="more than max_tokens_per_micro_batch=10; raise it to at least that"):
        result(lm, 10, "tokens")


def test_old_log_probs_are_those_before_the_update(lm: LanguageModel) -> None:
    views = build_views("trace", SAMPLES, block_size=4)
    batch = UpdateBatch(lm, SAMPLES, views, torch.ones(4), BatchSizes(16, 44), ReductionOptions(), 4096)
    before = batch.remember_old()
    weight = lm.backbone.get_output_embeddings().weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(1.5)
    try:
        after = batch.backward(policy_loss)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert torch.equal(batch.batch(after).old_logps, before.logps)
    assert float((after.logps - before.logps).max()) < -0.1       # sharper logits of a random model fit worse


def test_entropies_are_those_of_the_logits(lm: LanguageModel) -> None:
    """One view, everything masked: the logits of the padded row say the same."""
    sample = Sample(list(range(20, 24)), list(range(60, 64)))
    view = View.of_targets(torch.arange(8) >= 4, torch.arange(8) >= 4)
    batch = UpdateBatch(lm, [sample], [[view]], torch.ones(1), BatchSizes(4, 4), ReductionOptions(), 4096)
    logits = lm.logits(torch.tensor([[20, 21, 22, 23, *[lm.mask_token_id] * 4]]))[0, 4:]
    for scores in (batch.evaluate(), batch.backward(cross_entropy)):
        torch.testing.assert_close(scores.entropy, Categorical(logits=logits.detach()).entropy(), atol=1e-5, rtol=0)
        expected = logits.detach().log_softmax(-1)[range(4), range(60, 64)]
        torch.testing.assert_close(scores.logps, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["trace_action", "trace_all"])
def test_actions_are_trained_as_they_are_scored(lm: LanguageModel, name: str) -> None:
    """On policy, the loss's gradient is minus that of the advantages times the log-probabilities of all choices."""
    config = DecodingConfig(max_gen_length=9, dynamic_threshold=0.3, record_discards=True)
    rollouts = [own for group in generate(lm, [[3, 4, 5], [7] * 6], config) for own in group]
    views, advantages = build_views(name, rollouts), torch.tensor([1.0, -0.5])
    batch = UpdateBatch(lm, rollouts, views, advantages, BatchSizes(1, 1), ReductionOptions(divisor="answer_tokens"), 80)
    lm.backbone.zero_grad()
    batch.backward(policy_loss)
    found = [parameter.grad.clone() for parameter in lm.backbone.parameters()]
    lm.backbone.zero_grad()
    values = target_logprobs(lm, rollouts, views)
    sum(-advantage * value.sum() for advantage, own in zip(advantages, values, strict=True) for value in own).backward()
    for ours, parameter in zip(found, lm.backbone.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, atol=2e-5 * float(parameter.grad.abs().max()), rtol=1e-4)
