"""What a reinforcement step logs."""

from pathlib import Path

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.options import ReductionOptions, TokenClipOptions
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Rollout, Sample, Scored, Task
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.rl_figures import over_updates, recorded_gap, rollout_figures, start_figures, update_figures
from dllm_rl.views import build_views


@pytest.fixture(scope="module")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


def laid_out(lm: LanguageModel, samples: list, views: str = "trace") -> UpdateBatch:
    built = build_views(views, samples, block_size=4, seed=1)
    return UpdateBatch(lm, samples, built, torch.ones(len(samples)), BatchSizes(16, 44), ReductionOptions(), 4096)


def test_the_record_replays(lm: LanguageModel) -> None:
    """Trace views show what the sampler saw; random views do not."""
    config = DecodingConfig(max_gen_length=10, ignore_eos=True)
    rollouts = [group[0] for group in generate(lm, [[20, 21, 22], [30, 31, 32, 33, 34]], config)]
    batch = laid_out(lm, rollouts)
    gap = recorded_gap(batch, batch.evaluate())
    assert len(gap) == 20
    assert float(gap.max()) < 2e-5
    moved = laid_out(lm, rollouts, "random")
    assert float(recorded_gap(moved, moved.evaluate()).max()) > 1e-2
    rollouts[0].raw_logprobs[3] += 0.5
    assert float(recorded_gap(batch, batch.evaluate()).max()) == pytest.approx(0.5, abs=1e-3)
    figures = start_figures([batch], [batch.evaluate()])
    assert figures["recorded_gap_max"] == pytest.approx(0.5, abs=1e-3)
    assert figures["recorded_gap_mean"] == pytest.approx(0.5 / 20, abs=1e-3)
    assert 0 < figures["entropy"] < 10


@pytest.mark.parametrize("views", ["trace_action", "trace_all"])
def test_the_gap_is_that_of_revealed_tokens(lm: LanguageModel, views: str) -> None:
    """The hidden tail's are compared with its own record; rivals and discarded candidates have none."""
    config = DecodingConfig(max_gen_length=10, ignore_eos=True, record_discards=True, dynamic_threshold=0.3)
    rollouts = [group[0] for group in generate(lm, [[20, 21, 22], [30, 31, 32, 33, 34]], config)]
    batch = laid_out(lm, rollouts, views)
    gap = recorded_gap(batch, batch.evaluate())
    assert 20 < len(gap) <= 20 + sum(len(rollout.tail_ids) for rollout in rollouts) < len(batch.targets.labels)
    assert float(gap.max()) < 2e-5


def test_without_a_record_there_is_no_gap(lm: LanguageModel) -> None:
    batch = laid_out(lm, [Sample([1, 2], [3, 4])])
    figures = start_figures([batch], [batch.evaluate()])
    assert (figures["recorded_gap_mean"], figures["recorded_gap_max"]) == (None, None)


def test_updates_in_one() -> None:
    one = {"loss": 1.0, "ratio_min": 0.5, "ratio_max": 1.5, "kl": 0.0, "clip_fraction": 0.0, "gradient_norm": 2.0,
           "learning_rate": 0.1}
    two = {"loss": 3.0, "ratio_min": 0.7, "ratio_max": 1.9, "kl": 1.0, "clip_fraction": 0.5, "gradient_norm": 1.0,
           "learning_rate": 0.2}
    assert over_updates([one, two]) == {
        "loss": 2.0, "ratio_min": 0.5, "ratio_max": 1.9, "kl": 0.5, "clip_fraction": 0.25, "gradient_norm": 1.5,
        "gradient_norm_max": 2.0, "learning_rate": 0.2}


def test_figures_of_an_update(lm: LanguageModel) -> None:
    batch = laid_out(lm, [Sample([1, 2], [3, 4, 5])])
    scores = batch.backward(lambda targets: token_clip(targets, TokenClipOptions()))
    lm.backbone.zero_grad()
    figures = update_figures(batch, scores, lambda targets: token_clip(targets, TokenClipOptions()))
    assert figures == {"loss": scores.loss, "clip_fraction": 0.0, "ratio_min": 1.0, "ratio_max": 1.0, "kl": 0.0}


def test_figures_of_rollouts() -> None:
    def scored(length: int, reason: str, **fields: object) -> Scored:
        rollout = Rollout([1], [2] * length, [1] * length, finish_reason=reason, num_forwards=2, num_cache_forwards=1)
        return Scored(Task(id="a", question="?"), rollout, **{"reward": 0.0, **fields})

    figures = rollout_figures([[scored(2, "stop", reward=1.0, correct=True, answer="x", detail={"form": 1.0}),
                                scored(6, "length", correct=False, detail={"form": 0.0, "once": 4.0})]])
    assert figures == {"reward": 0.5, "accuracy": 0.5, "length": 4.0, "share_truncated": 0.5, "share_stopped": 0.5,
                       "share_no_answer": 0.5, "tokens_per_forward": 2.0, "tokens_per_forward_with_cache": 8 / 6,
                       "rollout_tokens": 8, "reward_form": 0.5, "reward_once": 4.0}
