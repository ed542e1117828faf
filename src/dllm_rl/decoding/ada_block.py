"""AdaBlock: a block of a canvas ends where the text does.

Letters: B rows, w positions that may belong to the block.
"""

from typing import ClassVar

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.strategies import LowConfidenceDynamic


class AdaBlock(LowConfidenceDynamic):
    """As ``low_confidence_dynamic``, in blocks that end at a sure delimiter.

    At its opening a block is given ``adablock_window`` positions. It ends behind the most confident candidate among
    ``block_delimiters`` there, if that is above ``adablock_threshold``; else at its fixed size. The rollout's
    ``block_ends`` say where.
    """

    adapts_blocks: ClassVar[bool] = True

    def block_length(self, scores: Tensor, masked: Tensor, delimiter: Tensor, config: DecodingConfig) -> Tensor:
        """See ``Strategy``; the left one of equally confident delimiters."""
        room = masked.sum(-1)
        place = torch.arange(scores.shape[-1], device=scores.device)
        fits = masked & delimiter & (place < (config.adablock_window or scores.shape[-1]))
        confidence, first = scores.masked_fill(~fits, -torch.inf).max(-1)
        fixed = room if config.block_size is None else room.clamp(max=config.block_size)
        return torch.where(confidence > config.adablock_threshold, first + 1, fixed)
