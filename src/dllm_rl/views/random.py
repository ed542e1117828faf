"""Random views: tokens of a response masked by chance (SPEC 4.1, 4.2, 5.2).

Letters: n response tokens.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from dllm_rl.config.options import RandomViewOptions, SemiArViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.grid import blocks_of
from dllm_rl.views.masks import view_of_mask, with_targets
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers


def draw_masks(sample: Sample | Rollout, options: RandomViewOptions, context: ViewContext) -> Iterator[Tensor]:
    """(n,) bool masks, one per draw: a probability uniform in the band per block or token, then each token by its own.

    With one probability per token a mask is no different from a fair coin per token (at the symmetric default band);
    with one per block, sparse and dense blocks both occur.
    """
    start, num_response = len(sample.prompt_ids), len(sample.response_ids)
    shared_by = {"block": blocks_of(sample, options, context)[start:start + num_response],
                 "token": torch.arange(num_response)}[options.level]
    key = sample_key(sample, context)
    for draw in range(options.mask_times_per_sample):
        ratio = uniform_numbers(key, Purpose.RATIO, draw, shared_by)
        yield bernoulli_mask(key, draw, options.lower_p + (options.upper_p - options.lower_p) * ratio)


def random_views(sample: Sample | Rollout, options: RandomViewOptions, context: ViewContext) -> list[View]:
    """One view per draw: masked tokens are predicted, each with weight 1 (no 1/t).

    The hidden tail is always masked and never predicted. A draw that predicts nothing gives no view.

    Args:
        sample: a rollout or sample.
        options: band, draws, what shares a probability, grid and pad rule.
        context: block size, seed and pad id.

    Returns:
        views in the order of draws, ``draw`` set.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    return with_targets(view_of_mask(sample, mask, options, context, draw=draw)
                        for draw, mask in enumerate(draw_masks(sample, options, context)))


def coupled_views(sample: Sample | Rollout, options: RandomViewOptions, context: ViewContext) -> list[View]:
    """As ``random_views`` with each draw's complement right behind it, so that every response token is predicted once.

    The form of dLLM-RL (two views of weight 1 each), which took the idea from DiffuCoder (arXiv 2506.20639). The
    complement is taken within the response; the hidden tail stays masked in both. A pair shares its ``draw``.
    """
    return with_targets(view_of_mask(sample, half, options, context, draw=draw)
                        for draw, mask in enumerate(draw_masks(sample, options, context)) for half in (mask, ~mask))


def semi_ar_views(sample: Sample | Rollout, options: SemiArViewOptions, context: ViewContext) -> list[View]:
    """One random mask in every block at once, each block behind its clean history (SPEC 5.2, block models).

    In a block model that history is what ``random_views`` have as well; what makes this entry is upstream's default of
    one mask probability per token.
    """
    return random_views(sample, options, context)
