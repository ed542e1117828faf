"""Fast-dLLM's rules for revealing several positions at once (SPEC 1.6).

Letters: B rows, b block size, m masks of a row.
"""

from typing import ClassVar

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, below_worst, best, due, passes, ranks


class ThresholdFactor(Strategy):
    """The longest run of best positions whose i-th confidence is at least ``1 - threshold_factor / (i + 1)``.

    The best one always passes. As published, a row's very last mask passes with those before it, so that two remaining
    masks always go together.
    """

    paced: ClassVar[bool] = False

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        ordered = scores.masked_fill(~masked, -torch.inf).sort(dim=-1, descending=True).values
        place = torch.arange(1, scores.shape[-1] + 1, device=scores.device)
        left = masked.sum(-1, keepdim=True)
        fits = (ordered >= 1 - config.threshold_factor / (place + 1)) | (place == 1)
        count = (fits & (place <= left)).long().cumprod(-1).sum(-1)
        count = torch.where(count == left[:, 0] - 1, left[:, 0], count)
        return best(scores, masked, due(step, count))

    def cutoffs(self, scores: Tensor, chosen: Tensor, inclusive: bool, config: DecodingConfig) -> Tensor | None:
        """See ``Strategy``: behind the worst of the n that were revealed, and below what the next one would have needed.

        Two masks left go together, so that a step leaves none behind or at least two.
        """
        needed = 1 - config.threshold_factor / (chosen.sum(-1, keepdim=True) + 2)
        return torch.minimum(below_worst(scores, chosen), needed)


class CarriedThreshold(Strategy):
    """Of the positions due and carried over, those that pass ``dynamic_threshold``, at least the best one.

    What was due and did not pass is carried over to the next step.
    """

    remembers: ClassVar[bool] = True

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        carried = step.memory.get("carried", torch.zeros_like(step.quota))
        count = torch.minimum((step.quota + carried).clamp(min=1), masked.sum(-1))
        places = ranks(scores, masked)
        considered = masked & (places < count[:, None])
        chosen = considered & (passes(scores, config.dynamic_threshold, step) | (places == 0))
        chosen = torch.where(step.last[:, None], masked, chosen)
        step.memory["carried"] = count - chosen.sum(-1)
        return chosen
