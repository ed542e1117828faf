"""The step record: what an unmasking strategy is told beside scores and masks.

Letters: B rows, b block size, V vocabulary.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Step:
    """One denoising step of the rows' current blocks.

    Attributes:
        quota: (B,) int64; positions due by the decoder's schedule.
        last: (B,) bool; rows whose block ends with this step, so that everything left must go.
        inclusive: whether a score equal to a threshold passes it (canvas decoders, SPEC 1.4) or not (block, SPEC 1.3).
        logits: (B, b, V) float32 processed logits, ``-inf`` at ids that are out; anything at positions that are not
            masked. ``None`` unless the strategy says ``needs_logits``.
        memory: (B, ...) tensors a strategy keeps from step to step of one block; at a block's first step they are absent,
            or a row's are zeros where other rows' blocks are further on.

    Example (two rows, one position due in each):
        >>> Step.of_quota(torch.tensor([1, 1])).last.tolist()
        [False, False]
    """

    quota: Tensor
    last: Tensor
    inclusive: bool = False
    logits: Tensor | None = None
    memory: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of_quota(cls, quota: Tensor) -> "Step":
        """A step that is nobody's last."""
        return cls(quota, torch.zeros_like(quota, dtype=torch.bool))
