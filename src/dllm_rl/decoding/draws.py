"""Randomness as a function: a draw depends on who asks and for what, never on a generator's state.

Every device and every batch shape give the same bits, so a request decodes to the same tokens alone, in a batch,
or in another engine.
"""

from collections import Counter
from collections.abc import Sequence
from enum import IntEnum

import torch
from torch import Tensor

from dllm_rl.records import hashing

MAX_SEED = (1 << 63) - 1


class Purpose(IntEnum):
    """What a number is drawn for; draws for different purposes are independent."""

    CANDIDATE = 0
    ORDER = 1


def uniform(seed: Tensor, position: Tensor, step: Tensor, purpose: Purpose) -> Tensor:
    """Uniform numbers in [0, 1), each a function of its arguments alone.

    Args:
        seed: int64, of the request.
        position: int64, of the token in its sequence.
        step: int64, 1-based number of the sequence's denoising forward.
        purpose: what the number is for.

    Returns:
        float64 with 53 random bits, of the broadcast shape of the three tensors, on their device.
    """
    return hashing.uniform(hashing.hash_words(seed, position, step, int(purpose)))


def _non_negative(word: Tensor) -> int:
    return int(word) & MAX_SEED


def hash_ids(ids: Sequence[int]) -> int:
    """A 63-bit non-negative hash of token ids, their order and number included."""
    return _non_negative(hashing.hash_sequence(torch.tensor(ids, dtype=torch.long)))


def request_seed(run_seed: int, key: int, sample_index: int) -> int:
    """The seed of one request.

    Args:
        run_seed: of the whole run.
        key: what is asked, for example ``hash_ids`` of the prompt.
        sample_index: number of the response among those to the same prompt.

    Returns:
        63-bit non-negative integer.
    """
    return _non_negative(hashing.hash_words(run_seed, key, sample_index))


def request_seeds(run_seed: int, prompts: Sequence[list[int]], num_samples: int) -> list[list[int]]:
    """Default seeds of a call: functions of each prompt, not of its place among the others.

    A prompt that stands in the call several times gets other seeds each time, by its occurrence.

    Returns:
        per prompt ``num_samples`` seeds.
    """
    seen: Counter[int] = Counter()
    seeds = []
    for prompt in prompts:
        ids_key = hash_ids(prompt)
        key = _non_negative(hashing.hash_words(ids_key, seen[ids_key]))
        seen[ids_key] += 1
        seeds.append([request_seed(run_seed, key, sample) for sample in range(num_samples)])
    return seeds
