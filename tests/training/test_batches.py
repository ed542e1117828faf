"""Loss and gradients of an update do not depend on how it is packed."""

from pathlib import Path

import pytest
import torch

from dllm_rl.config.options import ReductionOptions, TokenClipOptions
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Sample
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.views import build_views

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
    figures = batch.backward(lambda targets: token_clip(targets, TokenClipOptions()))
    assert (figures["ratio_min"], figures["ratio_max"], figures["clip_fraction"]) == (1.0, 1.0, 0.0)
    return figures["loss"], [parameter.grad.clone() for parameter in lm.backbone.parameters()]


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
    batch.remember_old()
    weight = lm.backbone.get_output_embeddings().weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(1.5)
    try:
        figures = batch.backward(lambda targets: token_clip(targets, TokenClipOptions()))
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert figures["ratio_min"] < figures["ratio_max"] < 0.9      # sharper logits of a random model fit worse
