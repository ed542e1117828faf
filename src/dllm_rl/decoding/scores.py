"""Scores: what positions are ordered by when some of them are to be revealed; larger is revealed earlier.

Letters: V vocabulary. Leading axes are free and written ``...``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scored:
    """What a score may look at, at each position.

    Attributes:
        logits: (..., V) of the distribution that ``score_of`` names; ``-inf`` at ids that are out.
        ids: (...) int64 candidates.
        uniforms: (...) float64 in [0, 1), a draw of their own, for orders that are random.

    Example (the second id is drawn):
        >>> confidence(Scored(torch.tensor([0.0, 0.0]), torch.tensor(1), torch.tensor(0.5))).item()
        0.5
    """

    logits: Tensor
    ids: Tensor
    uniforms: Tensor


def confidence(given: Scored) -> Tensor:
    """(...) probability of the candidate."""
    picked = given.logits.gather(-1, given.ids[..., None])[..., 0]
    return (picked - given.logits.logsumexp(-1)).exp()


def confidences(logits: Tensor) -> Tensor:
    """(..., V) what ``confidence`` would be of every id, to the last bit."""
    return (logits - logits.logsumexp(-1, keepdim=True)).exp()


def margin_confidence(given: Scored) -> Tensor:
    """(...) largest minus second largest probability, whatever the candidate."""
    first, second = given.logits.softmax(-1).topk(2, dim=-1).values.unbind(-1)
    return first - second


def neg_entropy(given: Scored) -> Tensor:
    """(...) sum of p ln p (nats, at most 0; 0 ln 0 = 0), whatever the candidate: certain positions first."""
    return -torch.special.entr(given.logits.softmax(-1)).sum(-1)


def entropy(given: Scored) -> Tensor:
    """(...) minus ``neg_entropy``: uncertain positions first, as upstream orders LLaDA's by mistake (SPEC 1.4)."""
    return -neg_entropy(given)


def random_order(given: Scored) -> Tensor:
    """(...) the uniform numbers themselves."""
    return given.uniforms


def equal(given: Scored) -> Tensor:
    """(...) zeros, for strategies that order by position alone."""
    return torch.zeros_like(given.logits[..., 0])


SCORES: dict[str, Callable[[Scored], Tensor]] = {
    "confidence": confidence, "margin_confidence": margin_confidence, "neg_entropy": neg_entropy, "entropy": entropy,
    "random": random_order, "position": equal}
"""By the values of the option ``score``; ``position`` is for strategies alone."""
