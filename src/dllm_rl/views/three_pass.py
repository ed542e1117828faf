"""Three-pass views: full mask, random mask, complement, weighted to one number per token (DiffuCoder, arXiv 2506.20639).

Letters: n response tokens.
"""

import torch

from dllm_rl.config.options import ThreePassViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.records.hashing import hash_words
from dllm_rl.views.masks import view_of_mask, with_targets
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers


def shared_ratio(options: ThreePassViewOptions, context: ViewContext) -> float:
    """The mask ratio t of all samples of a pass, uniform in the band."""
    key = hash_words(context.seed, context.pass_number)
    drawn = float(uniform_numbers(key, Purpose.RATIO, 0, torch.zeros(1, dtype=torch.long)))
    return options.lower_p + (options.upper_p - options.lower_p) * drawn


def three_pass_views(sample: Sample | Rollout, options: ThreePassViewOptions, context: ViewContext) -> list[View]:
    """Three views whose weighted log-probabilities add up to one per response token (SPEC 4.3).

    With one t for the whole batch, a random mask with t per token, and its complement::

        log p_j = 1/2 [ log p_j(all masked) + 1/t log p_j(mask) ]              for j in the mask
        log p_j = 1/2 [ log p_j(all masked) + 1/(1 - t) log p_j(complement) ]  for the others

    Args:
        sample: a rollout or sample; a hidden tail is masked in all three and never predicted.
        options: band of t, grid and pad rule.
        context: block size, seed, pass and pad id; another pass has another t and mask.

    Returns:
        the views in this order, without those that predict nothing.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    ratio, num = shared_ratio(options, context), len(sample.response_ids)
    mask = bernoulli_mask(sample_key(sample, context), 0, torch.full((num,), ratio, dtype=torch.float64))
    parts = ((torch.ones_like(mask), 1.0), (mask, ratio), (~mask, 1 - ratio))
    return with_targets(view_of_mask(sample, part, options, context, weight=0.5 / share) for part, share in parts)
