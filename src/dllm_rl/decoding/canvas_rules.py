"""The rules record: in what the decoders of full-attention models differ (SPEC 1.4, 1.6)."""

from dataclasses import dataclass
from typing import Literal

from dllm_rl.decoding.sampling import ScoreOf


@dataclass(frozen=True)
class CanvasRules:
    """One way to go through a canvas.

    Attributes:
        one_block: the whole response is one block.
        opening: what the full forward that opens a block reveals: what is due at its first step, or the block's first
            position alone, which a shifted model cannot predict inside the block's window.
        counts: what is due at a step: the block's masks split evenly; Dream's schedule of noise levels; a fixed number.
        score_of: which softmax scores are taken from, where the option does not say.
        top_p_first: see ``sampling.processed_logits``.
        inner_forward: run a forward behind the opening one even if that finished the block.
        shared_steps: count a forward in every row of the batch, and stop early only when all rows agree.
        early_stop: when a row ends before its last block: after a block with a stop token; after one of pads alone, the
            rest being filled with pads in one more step; never.

    Example:
        >>> CanvasRules(counts="timestep", one_block=True).early_stop
        'stop_token'
    """

    one_block: bool = False
    opening: Literal["step", "first"] = "step"
    counts: Literal["even", "timestep", "flat"] = "even"
    score_of: ScoreOf = "processed"
    top_p_first: bool = False
    inner_forward: bool = False
    shared_steps: bool = False
    early_stop: Literal["stop_token", "pad_block", "never"] = "stop_token"


PLAIN = CanvasRules()
"""What is due split evenly, rows independent of each other, an end at a stop token's block."""
