"""LocalLeap: near a sure position less certainty is enough.

Letters: B rows, b block size.
"""

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import max_pool1d

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, best, due


class LocalLeap(Strategy):
    """Anchors, at least ``leap_anchor`` confident; within ``leap_radius`` positions of one those from ``leap_accept`` on.

    If they are fewer than are due, the best are added. Both thresholds include their value in every decoder.
    """

    paced: ClassVar[bool] = False

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        anchors = masked & (scores >= config.leap_anchor)
        near = max_pool1d(anchors.to(scores.dtype), 2 * config.leap_radius + 1, 1, config.leap_radius) > 0
        accepted = masked & near & (scores >= config.leap_accept)
        return anchors | accepted | best(scores, masked, due(step, step.quota))
