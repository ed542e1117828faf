"""The random choices of views, each a function of the run's seed, the sample, the draw and the place.

A sample therefore gets the same views whatever stands beside it in a batch, in every process, as often as it is asked
for. Two samples with equal ids share their views, except rollouts with their own request seeds.
"""

from enum import IntEnum

import torch
from torch import Tensor

from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.records.hashing import hash_sequence, hash_words, uniform


class Purpose(IntEnum):
    """What a number is drawn for, so that no number serves two purposes."""

    RATIO = 1
    MASK = 2
    FORCED = 3
    PROMPT = 4


def sample_key(sample: Sample | Rollout, context: ViewContext) -> Tensor:
    """0-d int64 word that stands for this sample in a pass of the context's seed."""
    prompt = hash_sequence(torch.tensor(sample.prompt_ids, dtype=torch.long))
    response = hash_sequence(torch.tensor(sample.response_ids, dtype=torch.long))
    key = hash_words(context.seed, sample.seed if isinstance(sample, Rollout) else 0, prompt, response)
    return hash_words(key, context.pass_number) if context.pass_number else key


def uniform_numbers(key: Tensor, purpose: Purpose, draw: int, index: Tensor) -> Tensor:
    """One number in [0, 1) per index; equal indices get equal numbers.

    Args:
        key: of ``sample_key``.
        purpose: what for.
        draw: number of the draw.
        index: (n,) int64 place or block, negative ones too.

    Returns:
        (n,) float64.
    """
    return uniform(hash_words(key, int(purpose), draw, index))


def bernoulli_mask(key: Tensor, draw: int, probability: Tensor) -> Tensor:
    """(n,) bool: each place true with its own probability, (n,) float64, independently."""
    return uniform_numbers(key, Purpose.MASK, draw, torch.arange(len(probability))) < probability
