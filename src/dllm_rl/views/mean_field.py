"""Mean-field views: every response token predicted from the prompt alone (diffu-GRPO of d1, arXiv 2504.12216; SPEC 4.3).

Letters: P prompt tokens, n response tokens.
"""

from dataclasses import replace

import torch

from dllm_rl.config.options import MeanFieldViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.masks import view_of_mask, with_targets
from dllm_rl.views.noise import Purpose, sample_key, uniform_numbers


def mean_field_views(sample: Sample | Rollout, options: MeanFieldViewOptions, context: ViewContext) -> list[View]:
    """One view: the whole response masked and predicted, each prompt token masked with probability ``p_mask_prompt``.

    The sum of its log-probabilities is that of independent tokens. In a block model each block stands behind its clean
    history, so that only the tokens of one block are independent of each other; its prompt cannot be masked, because
    the clean copy shows it (``training/pairs.py`` refuses the pair).

    Args:
        sample: a rollout or sample.
        options: share of masked prompt tokens, grid and pad rule.
        context: block size, seed, pass and pad id; another pass masks other prompt tokens.

    Returns:
        one view; none for an empty response or if the pad rule leaves no target.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    view = view_of_mask(sample, torch.ones(len(sample.response_ids), dtype=torch.bool), options, context)
    places = torch.arange(len(sample.prompt_ids))
    hidden = uniform_numbers(sample_key(sample, context), Purpose.PROMPT, 0, places) < options.p_mask_prompt
    return with_targets([replace(view, masked=torch.cat([hidden, view.masked[len(places):]]))])
