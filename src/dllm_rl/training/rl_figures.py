"""What a reinforcement step logs about its rollouts and its updates."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dllm_rl.evaluation.summary import summarize
from dllm_rl.objectives.diagnostics import ratio_statistics
from dllm_rl.records import Rollout, Sample, Scored
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.updates import Items, Scores

Figures = dict[str, Any]

_OF_SUMMARY = ("reward", "accuracy", "length", "share_truncated", "share_no_answer", "tokens_per_forward",
               "tokens_per_forward_with_cache")


def rollout_figures(groups: Sequence[Sequence[Scored]]) -> Figures:
    """Figures of a step's answers as they were judged, before any of them is left out."""
    answers = [scored for group in groups for scored in group]
    summary = summarize(answers).as_dict()
    stopped = sum(scored.rollout.finish_reason == "stop" for scored in answers)
    details = sorted({name for scored in answers for name in scored.detail})
    return {**{name: summary[name] for name in _OF_SUMMARY}, "share_stopped": stopped / len(answers),
            "rollout_tokens": sum(len(scored.rollout.response_ids) for scored in answers),
            **{f"reward_{name}": _mean([scored.detail[name] for scored in answers if name in scored.detail])
               for name in details}}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def recorded_gap(batch: UpdateBatch, scores: Scores) -> Tensor:
    """Absolute difference of recorded and recomputed log-probabilities (nats) at revealed tokens that have both.

    With ``trace`` views of ``shrink=1`` the contexts are the sampler's own, and the difference is rounding. Other views
    show other contexts, so that there it says how far these are from the sampler's.
    """
    targets = batch.targets
    recorded = torch.full(targets.labels.shape, float("nan"))
    for number, sample in enumerate(batch.samples):
        values = _recorded(sample)
        if values is not None:
            own = (targets.own & (targets.response == number)).nonzero()[:, 0]
            recorded[own] = torch.tensor(values)[targets.position[own] - len(sample.prompt_ids)]
    gap = (scores.logps.cpu() - recorded).abs()
    return gap[~gap.isnan()]


def _recorded(sample: Sample | Rollout) -> list[float] | None:
    """Raw log-probabilities of response and hidden tail, NaN where only the response's are known."""
    if not isinstance(sample, Rollout) or sample.raw_logprobs is None:
        return None
    return sample.raw_logprobs + (sample.tail_raw_logprobs or [float("nan")] * len(sample.tail_ids))


def start_figures(batches: Sequence[UpdateBatch], scores: Sequence[Scores]) -> Figures:
    """Figures of the weights the rollouts came from: entropy at targets, and how well the record replays."""
    gaps = torch.cat([recorded_gap(batch, own) for batch, own in zip(batches, scores, strict=True)])
    entropy = torch.cat([own.entropy for own in scores])
    return {"entropy": float(entropy.mean()), "recorded_gap_mean": float(gaps.mean()) if len(gaps) else None,
            "recorded_gap_max": float(gaps.max()) if len(gaps) else None}


def update_figures(batch: UpdateBatch, scores: Scores, policy_loss: Items) -> Figures:
    """Figures of one update, before its step."""
    statistics = ratio_statistics(batch.batch(scores), policy_loss)
    return {"loss": scores.loss, "clip_fraction": statistics.clip_fraction, "ratio_min": statistics.ratio_min,
            "ratio_max": statistics.ratio_max, "kl": statistics.approx_kl}


def over_updates(updates: Sequence[Figures]) -> Figures:
    """Figures of all updates of a step in one: extremes of the ratios, the last learning rate, means of the rest."""
    joined = {name: _mean([own[name] for own in updates]) for name in updates[0]}
    return joined | {"ratio_min": min(own["ratio_min"] for own in updates),
                     "ratio_max": max(own["ratio_max"] for own in updates),
                     "gradient_norm_max": max(own["gradient_norm"] for own in updates),
                     "learning_rate": updates[-1]["learning_rate"]}
