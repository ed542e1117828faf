"""Trace views: the contexts in which the sampler revealed the tokens of a response (TraceRL, arXiv 2509.06949).

Letters: P prompt tokens, n response tokens, m tokens of the hidden tail.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import TraceViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.grid import blocks_of, step_groups
from dllm_rl.views.masks import view_of_groups, with_further_targets, with_targets


def reveal_steps(sample: Sample | Rollout) -> Tensor:
    """(n + m,) int64 step ids of response and hidden tail.

    A sample without a step map was revealed left to right. A tail token of step 0 was never revealed (SPEC 13), which
    is later than every step.
    """
    own = list(range(len(sample.response_ids))) if sample.step_map is None else sample.step_map
    never = max([*own, *sample.tail_steps], default=0) + 1
    return torch.tensor([*own, *(step or never for step in sample.tail_steps)], dtype=torch.long)


def trace_groups(sample: Sample | Rollout, blocks: Tensor, shrink: int = 1) -> tuple[Tensor, Tensor]:
    """The trace group of every decoded token, and which tokens are scored when the tail is.

    Args:
        sample: with its steps.
        blocks: (n + m,) int64 block of every token of response and tail.
        shrink: see ``step_groups``.

    Returns:
        (n + m,) int64 groups, and (n + m,) bool: the response and those tokens of the tail that were revealed no later in
        their block than its last visible token. What came later influenced nothing visible.
    """
    num_response = len(sample.response_ids)
    groups = step_groups(reveal_steps(sample), blocks, shrink)
    place = blocks - blocks.min() if len(blocks) else blocks
    last = torch.full((int(place.max()) + 1 if len(place) else 0,), -1)
    last.scatter_reduce_(0, place[:num_response], groups[:num_response], "amax")
    return groups, groups <= last[place]


def trace_views(sample: Sample | Rollout, options: TraceViewOptions, context: ViewContext) -> list[View]:
    """One view per round: the r-th trace group of every block at once (SPEC 2.3, 13.1).

    In each block that has more than r groups, the r-th group is predicted and masked together with all that came
    later in the block. A block with fewer groups is visible and predicts nothing. Every response token is predicted in
    exactly one round (pads beyond ``post_num`` in none). The hidden tail takes part in grouping and masking, because
    it stood beside the visible tokens while they were sampled, but is predicted only under ``score_tail``; a round that
    would predict only tail is then kept, else dropped. With ``shrink=1`` on the absolute grid, each block stands as the
    sampler saw it.

    Args:
        sample: a rollout with its steps, or a sample (left to right without a step map).
        options: shrink, tail, grid and pad rule.
        context: block size and pad id; nothing is drawn.

    Returns:
        views in round order, ``node`` = round, at most ``ceil(block_size / shrink)``.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    start, num_response = len(sample.prompt_ids), len(sample.response_ids)
    blocks = blocks_of(sample, options, context)[start:]
    groups, influential = trace_groups(sample, blocks, options.shrink)
    predicted = groups[:num_response]
    rounds = int(predicted.max()) + 1 if len(predicted) else 0
    views = [view_of_groups(sample, groups >= number, predicted == number, options, context, node=number)
             for number in range(rounds)]
    if options.score_tail:
        tail = torch.arange(len(groups)) >= num_response
        views = [with_further_targets(view, tail & influential & (groups == number), start)
                 for number, view in enumerate(views)]
    return with_targets(views)
