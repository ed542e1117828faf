"""Block views: the fine-tuning the released SDAR models were made with (SPEC 5.3; BD3-LM, arXiv 2503.09573).

Letters: n response tokens.
"""

import torch
from torch import Tensor

from dllm_rl.config.options import BlockViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.grid import blocks_of
from dllm_rl.views.masks import view_of_mask, with_targets
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers

MAX_DRAWS = 10
"""Draws without a single mask after which one token is masked by force."""


def draw_noise(sample: Sample | Rollout, options: BlockViewOptions, context: ViewContext) -> tuple[Tensor, Tensor]:
    """A mask with at least one token, and the probability each token had.

    Returns:
        mask (n,) bool and probability (n,) float64, n at least 1.
    """
    start, num_response = len(sample.prompt_ids), len(sample.response_ids)
    shared_by = {"document": torch.zeros(num_response, dtype=torch.long),
                 "block": blocks_of(sample, options, context)[start:start + num_response]}[options.level]
    key = sample_key(sample, context)
    for attempt in range(MAX_DRAWS):
        ratio = uniform_numbers(key, Purpose.RATIO, attempt, shared_by)
        probability = (1 - options.min_p) * ratio + options.min_p
        mask = bernoulli_mask(key, attempt, probability)
        if bool(mask.any()):
            return mask, probability
    place = uniform_numbers(key, Purpose.FORCED, 0, torch.zeros(1, dtype=torch.long)) * num_response
    return torch.arange(num_response) == place.to(torch.long), probability


def block_views(sample: Sample | Rollout, options: BlockViewOptions, context: ViewContext) -> list[View]:
    """One view: each response token masked with one probability p of its document, predicted with weight 1/p.

    ``p = (1 - min_p) t + min_p`` with t uniform in [0, 1). An empty mask is drawn anew, ratio included, up to
    ``MAX_DRAWS`` times. The original redraws a whole packed row and not each of its documents; redrawing documents
    leaves none without a target, at the price that a response of n tokens weighs (n + 1)/n on average instead of 1.

    Args:
        sample: a rollout or sample; a hidden tail is masked and not predicted.
        options: smallest probability, what shares a ratio, grid and pad rule.
        context: block size, seed and pad id.

    Returns:
        one view; none for an empty response or if the pad rule leaves no target.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    if not sample.response_ids:
        return []
    mask, probability = draw_noise(sample, options, context)
    return with_targets([view_of_mask(sample, mask, options, context, weight=1 / probability)])
