"""From a mask over a response to a view of the whole sample.

Letters: P prompt tokens, n response tokens, m tokens of the hidden tail, T = P + n + m.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from dllm_rl.config.options import MaskViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.grid import absolute_grid, blocks_of


def keep_first_pads(target: Tensor, ids: Tensor, post_num: int | None, pad_token_id: int | None) -> Tensor:
    """Targets without the pads after the first ``post_num`` of them (SPEC 2.3).

    Args:
        target: (n,) bool.
        ids: (n,) int64 ids at the same places.
        post_num: pads that stay, left to right; ``None`` keeps all.
        pad_token_id: what a pad is.

    Returns:
        (n,) bool.

    Raises:
        ValueError: pads are limited but unknown.
    """
    if post_num is None:
        return target
    if pad_token_id is None:
        raise ValueError(f"post_num={post_num} limits pads as targets, but the pad token is unknown; pass "
                         "pad_token_id=, or post_num=None to train every token")
    pads = target & (ids == pad_token_id)
    return target & ~(pads & (pads.cumsum(0) > post_num))


def view_of_groups(sample: Sample | Rollout, masked: Tensor, target: Tensor, options: MaskViewOptions,
                   context: ViewContext, *, weight: Tensor | float = 1.0, draw: int = 0, node: int | None = None) -> View:
    """The view with these masks and targets behind a visible prompt.

    Args:
        sample: whose view it is.
        masked: (n + m,) bool over response and hidden tail.
        target: (n,) bool over the response; pads beyond ``options.post_num`` are taken out.
        options: grid and pad rule.
        context: block size and pad id.
        weight: (n,) or a number; weight of the targets.
        draw: see ``View``.
        node: see ``View``.

    Returns:
        a view that may have no target left. ``block`` is set where its grid is not the one the sample was decoded on,
        so that nobody needs to know which block size it was built with.
    """
    num_prompt, num_tail = len(sample.prompt_ids), len(sample.tail_ids)
    kept = keep_first_pads(target, torch.tensor(sample.response_ids, dtype=torch.long), options.post_num,
                           context.pad_token_id)
    prompt, tail = torch.zeros(num_prompt, dtype=torch.bool), torch.zeros(num_tail, dtype=torch.bool)
    weights = torch.zeros(num_prompt + len(masked))
    weights[num_prompt:num_prompt + len(kept)] = kept.to(torch.float32) * weight
    block = blocks_of(sample, options, context)
    decoded_on = sample.block_size is not None and torch.equal(block, absolute_grid(sample, sample.block_size))
    return View(masked=torch.cat([prompt, masked]), target=torch.cat([prompt, kept, tail]), weight=weights,
                block=None if decoded_on else block, draw=draw, node=node)


def view_of_mask(sample: Sample | Rollout, mask: Tensor, options: MaskViewOptions, context: ViewContext, *,
                 weight: Tensor | float = 1.0, draw: int = 0) -> View:
    """The view that masks these response tokens and predicts them.

    Args:
        sample: whose view it is. Its hidden tail is masked and not predicted (SPEC 13.1).
        mask: (n,) bool, whoever drew it.
        options: grid and pad rule.
        context: block size and pad id.
        weight: (n,) or a number; weight of the targets.
        draw: index of the draw.

    Raises:
        ValueError: the mask is not one bool per response token.
    """
    num_response = len(sample.response_ids)
    if mask.dtype != torch.bool or tuple(mask.shape) != (num_response,):
        raise ValueError(f"the mask is {mask.dtype} of shape {tuple(mask.shape)}; a bool per response token is needed, "
                         f"shape ({num_response},)")
    masked = torch.cat([mask, torch.ones(len(sample.tail_ids), dtype=torch.bool)])
    return view_of_groups(sample, masked, mask, options, context, weight=weight, draw=draw)


def with_further_targets(view: View, further: Tensor, num_prompt: int) -> View:
    """The view with more targets of weight 1, (n + m,) bool over response and hidden tail."""
    more = torch.cat([torch.zeros(num_prompt, dtype=torch.bool), further])
    return replace(view, target=view.target | more, weight=torch.where(more, 1.0, view.weight))


def with_targets(views: Iterable[View]) -> list[View]:
    """The views that predict anything; the others say nothing about the weights and are dropped."""
    return [view for view in views if bool(view.target.any())]
