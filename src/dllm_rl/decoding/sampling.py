"""From logits to candidates: the decoding distribution, draws from it, and the scores positions are ordered by.

Letters: V vocabulary. Leading axes are free and written ``...``. Everything is fp32; draws accumulate in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from dllm_rl.config.decoding import DecodingConfig


def processed_logits(logits: Tensor, allowed: Tensor, config: DecodingConfig) -> Tensor:
    """Logits of the decoding distribution: forbidden ids out, temperature, top-k, top-p, in this order.

    Top-k keeps every logit at least as large as the k-th largest. Top-p sorts in descending order (ties to the smaller
    id) and drops a token when the mass before it exceeds p; the first always stays. At temperature 0 nothing is
    divided: candidates are then the argmax, and scores and log-probabilities those at temperature 1 (SPEC 13).

    Args:
        logits: (..., V) of any float dtype; may carry gradients, which flow to the logits that stay.
        allowed: (V,) bool; ids that may be drawn.
        config: ``temperature``, ``top_k``, ``top_p``.

    Returns:
        (..., V) float32, ``-inf`` at ids that are out; with a temperature shifted so that the largest is 0.

    Raises:
        ValueError: ``top_k`` is larger than V.
    """
    if config.top_k > logits.shape[-1]:
        raise ValueError(f"top_k {config.top_k} is larger than the vocabulary of {logits.shape[-1]} ids; "
                         "use 0 to keep all")
    scores = logits.float().masked_fill(~allowed, -torch.inf)
    if config.temperature not in (0.0, 1.0):
        # Shifted first, so that a temperature near 0 sends the others to -inf instead of overflowing to inf - inf.
        scores = (scores - scores.detach().amax(-1, keepdim=True)) / config.temperature
    if config.top_k:
        smallest = scores.detach().topk(config.top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < smallest, -torch.inf)
    if config.top_p < 1:
        scores = scores.masked_fill(~_nucleus(scores.detach(), config.top_p), -torch.inf)
    return scores


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    """(..., V) bool: the tokens that the top-p rule keeps."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    mass = ordered.softmax(-1, dtype=torch.float64)
    before = pad(mass.cumsum(-1)[..., :-1], (1, 0))
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before <= top_p)


def log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-softmax at ``labels``: (..., V) fp32 logits and (...) int64 ids to (...) nats, differentiable."""
    return logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(-1)


def draw(logits: Tensor, uniforms: Tensor | None) -> Tensor:
    """Draw ids by inverse CDF.

    Args:
        logits: (..., V) processed logits.
        uniforms: (...) float64 in [0, 1); ``None`` takes the most probable id, the smallest one of equals.

    Returns:
        (...) int64; never an id of probability 0, whatever ``uniforms`` and rounding. Unspecified where logits are NaN.
    """
    if uniforms is None:
        return logits.argmax(-1)
    mass = logits.softmax(-1, dtype=torch.float64)
    # A parallel scan (CUDA) need not be monotone, so an id of probability 0 could show a rise: it gets the sum 0, which
    # exceeds no threshold. The largest other sum exceeds every threshold, since u is at most 1 - 2^-53.
    sums = mass.cumsum(-1).masked_fill_(mass == 0, 0)
    threshold = uniforms[..., None] * sums.amax(-1, keepdim=True)
    return (sums > threshold).to(torch.uint8).argmax(-1)


def confidence(logits: Tensor, candidate_log_probs: Tensor) -> Tensor:
    """Probability of the candidate: (...) in (0, 1] from its (...) log-probability; (..., V) ``logits`` unused."""
    return candidate_log_probs.exp()


def negative_entropy(logits: Tensor, candidate_log_probs: Tensor) -> Tensor:
    """Sum of p ln p (nats, at most 0; 0 ln 0 = 0) of (..., V) processed ``logits``, whatever the candidate: (...)."""
    return -torch.special.entr(logits.softmax(-1)).sum(-1)


def equal_scores(logits: Tensor, candidate_log_probs: Tensor) -> Tensor:
    """(...) zeros, for strategies that order by position alone."""
    return torch.zeros_like(candidate_log_probs)


SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "confidence": confidence, "negative_entropy": negative_entropy, "position": equal_scores}
"""What a strategy may order positions by: (..., V) processed logits and the candidates' log-probabilities to (...)."""


@dataclass(frozen=True)
class Candidates:
    """One candidate per position, all of shape (...).

    Attributes:
        ids: int64.
        scores: float32; larger is revealed earlier.
        logprobs: float32 nats under the decoding distribution. NaN if any logit of the position was.
        raw_logprobs: float32 nats under the plain softmax of all V logits at temperature 1. NaN likewise.
    """

    ids: Tensor
    scores: Tensor
    logprobs: Tensor
    raw_logprobs: Tensor


def propose(logits: Tensor, allowed: Tensor, config: DecodingConfig, score: str, uniforms: Tensor | None) -> Candidates:
    """Draw a candidate for every position and score it.

    Args:
        logits: (..., V) float32.
        allowed: (V,) bool; ids that may be drawn.
        config: the decoding distribution.
        score: a name in ``SCORES``.
        uniforms: (...) float64 in [0, 1), or ``None`` to take the most probable ids.

    Raises:
        ValueError: ``top_k`` is larger than V.
    """
    processed = processed_logits(logits, allowed, config)
    ids = draw(processed, uniforms)
    logprobs = log_probs(processed, ids)
    return Candidates(ids, SCORES[score](processed, logprobs), logprobs, log_probs(logits.float(), ids))
