"""Randomness as a function: a draw depends on who asks and for what, never on a generator's state.

A counter-based hash in the manner of splitmix64 turns (seed, position, step, purpose) into a uniform number. It is int64
arithmetic, so every device and every batch shape give the same bits; a request decodes to the same tokens alone, in a
batch, or in another engine. The same hash over Python integers makes the seeds of requests.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum

import torch
from torch import Tensor

_BITS = 64
_WORD = (1 << _BITS) - 1
_INCREMENT = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_MANTISSA = 53


class Purpose(IntEnum):
    """What a number is drawn for; draws for different purposes are independent."""

    CANDIDATE = 0


def _signed(word: int) -> int:
    """The int64 that has the bits of an unsigned 64-bit word."""
    return word - (1 << _BITS) if word >> (_BITS - 1) else word


def _shift_right(state: Tensor, count: int) -> Tensor:
    """Logical right shift; torch's own shift of a negative number fills with ones."""
    return (state >> count) & ((1 << (_BITS - count)) - 1)


def _absorb(state: Tensor, value: Tensor | int) -> Tensor:
    """One more value hashed into an int64 state; products and sums wrap around."""
    state = (state ^ value) + _signed(_INCREMENT)
    for shift, factor in _ROUNDS:
        state = (state ^ _shift_right(state, shift)) * _signed(factor)
    return state ^ _shift_right(state, _LAST_SHIFT)


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
    state = _absorb(torch.zeros_like(seed), seed)
    for value in (position, step, int(purpose)):
        state = _absorb(state, value)
    return _shift_right(state, _BITS - _MANTISSA).to(torch.float64) * 2.0 ** -_MANTISSA


def _hash(values: Iterable[int]) -> int:
    """The hash of ``uniform`` over Python integers, as an unsigned 64-bit word."""
    state = 0
    for value in values:
        state = ((state ^ (value & _WORD)) + _INCREMENT) & _WORD
        for shift, factor in _ROUNDS:
            state = (state ^ (state >> shift)) * factor & _WORD
        state ^= state >> _LAST_SHIFT
    return state


def hash_ids(ids: Sequence[int]) -> int:
    """A 63-bit non-negative hash of a list of token ids, its length included."""
    return _hash([len(ids), *ids]) >> 1


def request_seed(run_seed: int, key: int, sample_index: int) -> int:
    """The seed of one request.

    Args:
        run_seed: of the whole run.
        key: what is asked, for example ``hash_ids`` of the prompt.
        sample_index: number of the response among those to the same prompt.

    Returns:
        63-bit non-negative integer.
    """
    return _hash([run_seed, key, sample_index]) >> 1


def request_seeds(run_seed: int, prompts: Sequence[list[int]], num_samples: int) -> list[list[int]]:
    """Default seeds of a call: functions of the prompt, not of its place among the others.

    A prompt that stands in the call several times gets different seeds each time, by its occurrence.

    Returns:
        per prompt ``num_samples`` seeds.
    """
    seen: Counter[int] = Counter()
    seeds = []
    for prompt in prompts:
        key = hash_ids(prompt)
        occurrence_key = _hash([key, seen[key]])
        seen[key] += 1
        seeds.append([request_seed(run_seed, occurrence_key, sample) for sample in range(num_samples)])
    return seeds
