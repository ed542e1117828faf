"""The record between likelihoods and objectives: every scored target of a batch, flat."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TargetBatch:
    """Targets of a (micro-)batch as flat tensors of length T, one entry per target of each view.

    Attributes:
        logps: (T,) float32, may carry gradients; log-probabilities (nats) under the current weights.
        old_logps: (T,) float32; the same before the first update of the step.
        advantages: (T,) float32; advantage of the target's token.
        scale: (T,) float32; the reduction: a loss is ``sum(scale * item)``.
        response: (T,) int64; which response of the batch of rollouts a target belongs to.
        row: (T,) int64; which view, numbered through the batch of rollouts.
        kl_factor: (T,) float32, or 1.0; factor of the target's KL term beside ``scale``, where the two are reduced
            differently.

    Example (two targets of one view, mean over the view's two targets):
        >>> import torch
        >>> zero = torch.zeros(2, dtype=torch.long)
        >>> TargetBatch(torch.tensor([-1., -2.]), torch.tensor([-1., -2.]), torch.ones(2),
        ...             torch.full((2,), .5), zero, zero).scale.sum().item()
        1.0
    """

    logps: Tensor
    old_logps: Tensor
    advantages: Tensor
    scale: Tensor
    response: Tensor
    row: Tensor
    kl_factor: Tensor | float = 1.0
