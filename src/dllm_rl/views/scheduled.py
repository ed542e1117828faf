"""Scheduled views: one random mask per pass, its ratio rising evenly over the passes (UniGRPO, arXiv 2505.15809; SPEC 4.3).

Letters: n response tokens, mu passes over a step's rollouts, T diffusion timesteps.
"""

from dataclasses import replace

import torch

from dllm_rl.config.options import ScheduledViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.masks import view_of_mask, with_targets
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers


def timestep(sample: Sample | Rollout, options: ScheduledViewOptions, context: ViewContext) -> int:
    """The noise level of a sample in this pass, ``t_n = floor((n - 1) / (mu - 1) (T - t_1) + t_1)`` for n = 1..mu.

    That is the paper's formula as printed, whose last pass masks everything. The paper's own example (100, 300, 500,
    700, 900) divides by mu instead. The start t_1 is uniform on 1..T for each response, unless it is given.
    """
    last, start = options.num_timesteps, options.first_timestep
    if start is None:
        key = sample_key(sample, replace(context, pass_number=0))
        drawn = float(uniform_numbers(key, Purpose.RATIO, 0, torch.zeros(1, dtype=torch.long)))
        start = 1 + int(drawn * last)
    return start + (last - start) * context.pass_number // max(context.num_passes - 1, 1)


def scheduled_views(sample: Sample | Rollout, options: ScheduledViewOptions, context: ViewContext) -> list[View]:
    """One view: each response token masked with the probability t/T of the pass, and predicted with weight 1.

    Args:
        sample: a rollout or sample; a hidden tail is masked and not predicted. The prompt is never masked.
        options: timesteps and start, grid and pad rule.
        context: block size, seed, pass and pad id.

    Returns:
        one view; none if the mask is empty or the pad rule leaves no target.

    Raises:
        ValueError: no block size is known, or pads are limited but unknown.
    """
    share = timestep(sample, options, context) / options.num_timesteps
    probability = torch.full((len(sample.response_ids),), share, dtype=torch.float64)
    mask = bernoulli_mask(sample_key(sample, context), 0, probability)
    return with_targets([view_of_mask(sample, mask, options, context, draw=context.pass_number)])
