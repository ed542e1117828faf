"""From logits to candidates: the decoding distribution, draws from it, and their scores.

Letters: V vocabulary. Leading axes are free and written ``...``. Everything is fp32; draws accumulate in float64.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.scores import SCORES, Scored, confidences

ScoreOf = Literal["processed", "temperature", "raw"]


def processed_logits(logits: Tensor, allowed: Tensor, config: DecodingConfig, top_p_first: bool = False) -> Tensor:
    """Logits of the decoding distribution: forbidden ids out, temperature, top-k, top-p, in this order.

    Top-k keeps every logit at least as large as the k-th largest. Top-p sorts in descending order (ties to the smaller
    id) and drops a token when the mass before it exceeds p; the first always stays. At temperature 0 nothing is
    divided: candidates are then the argmax, and scores and log-probabilities those at temperature 1 (SPEC 13).

    Args:
        logits: (..., V) of any float dtype; may carry gradients, which flow to the logits that stay.
        allowed: (V,) bool; ids that may be drawn.
        config: ``temperature``, ``top_k``, ``top_p``.
        top_p_first: take the nucleus before the k largest, as Dream does.

    Returns:
        (..., V) float32, ``-inf`` at ids that are out; with a temperature shifted so that the largest is 0.

    Raises:
        ValueError: ``top_k`` is larger than V.
    """
    if config.top_k > logits.shape[-1]:
        raise ValueError(f"top_k {config.top_k} is larger than the vocabulary of {logits.shape[-1]} ids; "
                         "use 0 to keep all")
    scores = scaled_logits(logits, allowed, config)
    for keep in (_keep_nucleus, _keep_largest) if top_p_first else (_keep_largest, _keep_nucleus):
        scores = keep(scores, config)
    return scores


def scaled_logits(logits: Tensor, allowed: Tensor, config: DecodingConfig) -> Tensor:
    """(..., V) float32 logits without forbidden ids, divided by the temperature, not filtered."""
    scores = logits.float().masked_fill(~allowed, -torch.inf)
    if config.temperature in (0.0, 1.0):
        return scores
    # Shifted first, so that a temperature near 0 sends the others to -inf instead of overflowing to inf - inf.
    return (scores - scores.detach().amax(-1, keepdim=True)) / config.temperature


def _keep_largest(scores: Tensor, config: DecodingConfig) -> Tensor:
    if not config.top_k:
        return scores
    smallest = scores.detach().topk(config.top_k, dim=-1).values[..., -1:]
    return scores.masked_fill(scores < smallest, -torch.inf)


def _keep_nucleus(scores: Tensor, config: DecodingConfig) -> Tensor:
    if config.top_p >= 1:
        return scores
    return scores.masked_fill(~_nucleus(scores.detach(), config.top_p), -torch.inf)


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


@dataclass(frozen=True)
class Candidates:
    """One candidate per position, all of shape (...).

    Attributes:
        ids: int64.
        scores: float32; larger is revealed earlier.
        logprobs: float32 nats under the decoding distribution. NaN if any logit of the position was.
        raw_logprobs: float32 nats under the plain softmax of all V logits at temperature 1. NaN likewise.
        logits: (..., V) float32, of the decoding distribution.

    Example: ``Candidates(ids=torch.tensor([7]), scores=torch.tensor([0.9]), ...)`` is one position's candidate, id 7.
    """

    ids: Tensor
    scores: Tensor
    logprobs: Tensor
    raw_logprobs: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Sampler:
    """How candidates are drawn and scored.

    Attributes:
        config: the decoding distribution, ``alg_temp`` and ``pad_target_penalty``.
        allowed: (V,) bool; ids that may be drawn.
        score: a name in ``scores.SCORES``.
        score_of: which softmax scores are taken from, as the option of that name.
        top_p_first: see ``processed_logits``.
        pad_token_id: what ``pad_target_penalty`` is for; ``None`` where there is no pad.
    """

    config: DecodingConfig
    allowed: Tensor
    score: str
    score_of: ScoreOf = "processed"
    top_p_first: bool = False
    pad_token_id: int | None = None

    def propose(self, logits: Tensor, uniforms: Tensor | None, order: Tensor) -> Candidates:
        """Draw a candidate for every position and score it.

        Args:
            logits: (..., V) float32.
            uniforms: (...) float64 in [0, 1) for the candidates, or ``None`` to take the most probable ids.
            order: (...) float64 in [0, 1) for orders that are random.

        Raises:
            ValueError: ``top_k`` is larger than V.
        """
        processed = processed_logits(logits, self.allowed, self.config, self.top_p_first)
        ids = draw(processed, uniforms)
        scores = SCORES[self.score](Scored(self._scored_logits(logits, processed), ids, order)).float()
        return Candidates(ids, self._ordered(self._penalised(scores, ids), order), log_probs(processed, ids),
                          log_probs(logits.float(), ids), processed)

    def score_table(self, logits: Tensor) -> Tensor:
        """(..., V) float32 score that every id would have as the candidate, of (..., V) logits.

        Orders that are random have none: they are given the number 0 in its place.
        """
        processed = processed_logits(logits, self.allowed, self.config, self.top_p_first)
        scored = self._scored_logits(logits, processed)
        if self.score == "confidence":
            scores = confidences(scored).float()
        else:
            ids = torch.zeros(logits.shape[:-1], dtype=torch.long, device=logits.device)
            scores = SCORES[self.score](Scored(scored, ids, ids.double())).float()[..., None].expand_as(scored)
        return self._penalised(scores, torch.arange(logits.shape[-1], device=logits.device).expand_as(scores))

    def _scored_logits(self, logits: Tensor, processed: Tensor) -> Tensor:
        if self.score_of == "raw":
            return logits.double()      # published decoders take this softmax in float64 (SPEC 1.4)
        return processed if self.score_of == "processed" else scaled_logits(logits, self.allowed, self.config)

    def _penalised(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Lower scores where the candidate is a pad: positive ones are divided, negative ones multiplied (SPEC 13)."""
        penalty = self.config.pad_target_penalty
        if penalty == 1 or self.pad_token_id is None:
            return scores
        lowered = torch.where(scores > 0, scores / penalty, scores * penalty)
        return torch.where(ids == self.pad_token_id, lowered, scores)

    def _ordered(self, scores: Tensor, order: Tensor) -> Tensor:
        """With an order temperature, Gumbel noise on the scores: the best n are then n draws without replacement."""
        if not self.config.alg_temp:
            return scores
        tiny = torch.finfo(torch.float64).tiny
        return (scores / self.config.alg_temp - (-order.clamp(min=tiny).log()).log()).float()
