"""Log-probabilities at targets without the logits of a whole batch: the output matrix in chunks, recomputed.

Letters: M targets, H hidden size, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_LOGITS = 32 * 1024 * 1024
"""Logits held at a time (128 MiB of fp32)."""

LogProbs = Callable[[Tensor, Tensor], Tensor]
"""(m, V) fp32 logits and (m,) labels to (m,) log-probabilities, or to (m, k) figures the first of which they are."""


def raw_log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Plain log-softmax at temperature 1 over the whole vocabulary, at ``labels``."""
    return logits.gather(-1, labels[:, None])[:, 0] - logits.logsumexp(-1)


def log_probs_and_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(m, 2): plain log-probabilities of ``labels``, and without gradients the entropy (nats) of the distribution."""
    with torch.no_grad():
        normalised = logits.log_softmax(-1)
        entropy = -(normalised.exp() * normalised).sum(-1)
    return torch.stack([raw_log_probs(logits, labels), entropy], dim=-1)


def chunked_log_probs(hidden: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor], vocab_size: int,
                      log_probs: LogProbs = raw_log_probs) -> Tensor:
    """Log-probabilities of labels from final states, a chunk of logits at a time.

    Args:
        hidden: (M, H) states; gradients flow to them and to the output matrix.
        labels: (M,) int64.
        head: states to fp32 logits.
        vocab_size: V, from which the chunk length follows.
        log_probs: of which distribution, and what else to find.

    Returns:
        (M,) or (M, k) float32, as ``log_probs`` gives them. The backward pass computes each chunk's logits again
        instead of keeping them.
    """
    size = max(1, CHUNK_LOGITS // vocab_size)

    def score(states: Tensor, ids: Tensor) -> Tensor:
        return log_probs(head(states), ids)

    parts = [checkpoint(score, states, ids, use_reentrant=False) if torch.is_grad_enabled() else score(states, ids)
             for states, ids in zip(hidden.split(size), labels.split(size), strict=True)]
    return torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)
