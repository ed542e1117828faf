"""Rivals: the log-probability that the candidate of a position that was left behind lost (METHODS 2.6).

With q the distribution candidates are drawn from and s the score they are ranked by, a rival with cutoff c lost with
probability ``Q = sum_u q(u) [s(u) < c]``. Cutoff and indicator are constants for the gradient: they move only where two
scores are equal.

Letters: m rivals, M targets of one pack, G steps, w targets of the longest, V vocabulary.
"""

import torch
from torch import Tensor

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.decoding.replay import losing_strategy, recorded_sampler
from dllm_rl.decoding.sampling import Sampler, processed_logits
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood.head import LogProbs, chunked_log_probs


def log_losing_mass(logits: Tensor, cutoffs: Tensor, sampler: Sampler) -> Tensor:
    """Log-mass of the ids that score below a cutoff.

    Args:
        logits: (m, V) fp32 of the model; gradients flow to those that may be drawn.
        cutoffs: (m,) float32.
        sampler: how candidates are drawn and scored.

    Returns:
        (m,) float32 nats, at most 0. A rival did lose: so its lowest score counts as losing even where rounding (another
        dtype or batch than the sampler's) puts it at the cutoff, and the result is finite.
    """
    processed = processed_logits(logits, sampler.allowed, sampler.config, sampler.top_p_first)
    with torch.no_grad():
        drawable = processed > -torch.inf
        scores = sampler.score_table(logits).masked_fill(~drawable, torch.inf)
        lowest = scores.amin(-1, keepdim=True)
        loses = drawable & ((scores < cutoffs[:, None]) | (scores == lowest))
    return processed.masked_fill(~loses, -torch.inf).logsumexp(-1) - processed.logsumexp(-1)


def losing_log_probs(sampler: Sampler, log_probs: LogProbs) -> LogProbs:
    """``log_probs`` of rivals: (m, V) logits and (m,) cutoffs to the log-mass of losing, further figures as they are."""
    def of_rivals(logits: Tensor, cutoffs: Tensor) -> Tensor:
        mass = log_losing_mass(logits, cutoffs, sampler)
        figures = log_probs(logits, torch.zeros_like(cutoffs, dtype=torch.long))
        return mass if figures.ndim == 1 else torch.cat([mass[:, None], figures[:, 1:]], dim=-1)

    return of_rivals


@torch.no_grad()
def step_cutoffs(lm: LanguageModel, states: Tensor, labels: Tensor, rival: Tensor, step: Tensor,
                 settings: RecordedDecoding) -> Tensor:
    """Cutoffs that the rule of a decoding makes of what its steps revealed.

    Args:
        lm: the model.
        states: (M, H) final states.
        labels: (M,) int64 revealed tokens; anything at rivals.
        rival: (M,) bool.
        step: (M,) int64 number of the step that a target belongs to; its targets stand together and in order.
        settings: what all of them were decoded with.

    Returns:
        (M,) float32; anything at targets that are no rivals.

    Raises:
        ValueError: the strategy has no losing event, or the states cannot be recomputed.
    """
    strategy, sampler = losing_strategy(settings), recorded_sampler(lm, settings)

    def score(logits: Tensor, ids: Tensor) -> Tensor:
        return sampler.score_table(logits).gather(-1, ids[:, None])[:, 0]

    group, counts = step.unique_consecutive(return_inverse=True, return_counts=True)[1:]
    place = torch.arange(len(step), device=step.device) - (counts.cumsum(0) - counts)[group]
    scores = states.new_zeros(len(counts), int(counts.max()), dtype=torch.float32)
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    scores[group, place] = chunked_log_probs(states, labels, lm.head, lm.vocab_size, score)
    chosen[group, place] = ~rival
    cutoffs = strategy.cutoffs(scores, chosen, lm.family.attention == "full", settings)
    assert cutoffs is not None      # losing_strategy
    return cutoffs[group, place]
