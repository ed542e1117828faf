"""Counter-based randomness: hashes of integers, so that a draw is a function of what it is for and not of when it is made.

Every function works on int64 tensors, on any device, with the same bits everywhere. A 64-bit word is held as the int64
of the same bits, sums and products wrap.
"""

import torch
from torch import Tensor

_STRIDE = -0x61C8864680B583EB
"""2^64 divided by the golden ratio (0x9E3779B97F4A7C15), as a signed number."""


def _shift_right(word: Tensor, count: int) -> Tensor:
    """Logical shift: torch's own ``>>`` copies the sign of an int64 downwards, so those bits are cleared."""
    return (word >> count) & ((1 << (64 - count)) - 1)


def mix(word: Tensor) -> Tensor:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit words, flipping half the bits.

    Args:
        word: int64 of any shape.

    Returns:
        int64 of the same shape.
    """
    word = (word ^ _shift_right(word, 30)) * -0x40A7B892E31B1A47
    word = (word ^ _shift_right(word, 27)) * -0x6B2FB644ECCEEE15
    return word ^ _shift_right(word, 31)


def as_word(value: int) -> Tensor:
    """A Python integer of any size and sign as a 0-d int64 word, reduced modulo 2^64."""
    word = value & ((1 << 64) - 1)
    return torch.tensor(word - (1 << 64) if word >> 63 else word)


def hash_words(*words: Tensor | int) -> Tensor:
    """One word from several; their order matters.

    Args:
        words: int64 tensors that broadcast against each other, or integers.

    Returns:
        int64 of the broadcast shape.
    """
    state = as_word(0)
    for word in words:
        own = as_word(word) if isinstance(word, int) else word
        state = mix((state.to(own.device) ^ own) + _STRIDE)
    return state


def hash_sequence(ids: Tensor) -> Tensor:
    """One word from a sequence, its length and order included.

    Args:
        ids: (n,) int64; n may be 0.

    Returns:
        0-d int64. The words of all places are summed, so that no loop over places is needed.
    """
    places = torch.arange(len(ids), device=ids.device)
    return hash_words(torch.tensor(len(ids), device=ids.device), hash_words(places, ids).sum())


def uniform(word: Tensor) -> Tensor:
    """A number in [0, 1) from the upper 53 bits of each word.

    Args:
        word: int64 of any shape, already a hash.

    Returns:
        float64 of the same shape, all 53 bits kept: a threshold in the far tail is hit as often as it should be.
    """
    return _shift_right(word, 11).to(torch.float64) * 2.0**-53
