"""The block grid of a sample, and the groups that trace steps form in its blocks.

Letters: P prompt tokens, n response tokens, m tokens of the hidden tail, T = P + n + m.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from dllm_rl.config.options import MaskViewOptions
from dllm_rl.records import Rollout, Sample, ViewContext


def num_tokens(sample: Sample | Rollout) -> int:
    """T, the tokens of prompt, response and hidden tail."""
    return len(sample.prompt_ids) + len(sample.response_ids) + len(sample.tail_ids)


def block_size_of(sample: Sample | Rollout, context: ViewContext) -> int | Literal["full"]:
    """The context's block size, or else that the sample was decoded with.

    Raises:
        ValueError: neither is known.
    """
    size = context.block_size if context.block_size is not None else sample.block_size
    if size is None:
        raise ValueError("views are built block by block, but neither the call nor the sample says how long a block "
                         "is; pass block_size=, for instance the model's own lm.block_size, or \"full\"")
    return size


def absolute_grid(sample: Sample | Rollout, block_size: int) -> Tensor:
    """(T,) int64, blocks as in decoding: ``position // block_size`` from the first prompt token (SPEC 13.1)."""
    return torch.arange(num_tokens(sample)) // block_size


def response_grid(sample: Sample | Rollout, block_size: int) -> Tensor:
    """(T,) int64, upstream's blocks: from the start of the response, and from there to the left (SPEC 2.2, 2.4).

    The response's first block is 0, the prompt's last ``block_size`` tokens are block -1, so that only the left-most
    block of the prompt may be shorter. Floor division of the distance to the response's start says both.
    """
    start = len(sample.prompt_ids)
    return torch.div(torch.arange(num_tokens(sample)) - start, block_size, rounding_mode="floor")


GRIDS: dict[str, Callable[[Sample | Rollout, int], Tensor]] = {"absolute": absolute_grid, "response": response_grid}
"""Where blocks may start, by the value of the option ``grid``."""


def blocks_of(sample: Sample | Rollout, options: MaskViewOptions, context: ViewContext) -> Tensor:
    """(T,) int64 block of every position on the grid of the options; zeros where everything is one block."""
    size = block_size_of(sample, context)
    return torch.zeros(num_tokens(sample), dtype=torch.long) if size == "full" else GRIDS[options.grid](sample, size)


def step_groups(steps: Tensor, blocks: Tensor, shrink: int = 1) -> Tensor:
    """The trace group of every token: 0 for its block's earliest step ids, counting up by block (SPEC 2.2).

    Args:
        steps: (N,) int64 step ids, any integers.
        blocks: (N,) int64 blocks, in any order.
        shrink: how many consecutive distinct ids of a block make one group.

    Returns:
        (N,) int64.

    Example (one block):
        >>> step_groups(torch.tensor([5, 5, 7, 9, 20]), torch.zeros(5, dtype=torch.long), shrink=2)
        tensor([0, 0, 0, 1, 1])
    """
    pairs, place = torch.stack([blocks, steps]).unique(dim=1, return_inverse=True)
    first = torch.searchsorted(pairs[0].contiguous(), blocks.contiguous())
    return torch.div(place - first, shrink, rounding_mode="floor")
