"""Hashes: the published sequence, and that draws look independent."""

import torch

from dllm_rl.records.hashing import as_word, hash_sequence, hash_words, mix, uniform

WORD = (1 << 64) - 1


def test_mix_gives_the_published_sequence_of_seed_0() -> None:
    strides = torch.stack([as_word(0x9E3779B97F4A7C15 * count) for count in (1, 2, 3)])
    assert [word & WORD for word in mix(strides).tolist()] == [
        0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_words_wrap_at_64_bits() -> None:
    assert [int(as_word(value)) for value in (-1, WORD, 1 << 63, (1 << 64) + 5)] == [-1, -1, -(1 << 63), 5]
    assert torch.equal(hash_words(-1), hash_words(WORD))


def test_hash_words_broadcasts_and_minds_the_order() -> None:
    table = hash_words(torch.arange(3)[:, None], torch.arange(4))
    assert table.shape == (3, 4)
    assert table[1, 2] == hash_words(1, 2)
    assert hash_words(1, 2) != hash_words(2, 1)
    assert len(table.unique()) == 12


def test_hash_sequence_minds_order_and_length() -> None:
    words = [int(hash_sequence(torch.tensor(ids, dtype=torch.long))) for ids in ([], [0], [0, 0], [1, 2], [2, 1])]
    assert len(set(words)) == 5


def test_uniform_numbers_are_uniform_and_independent() -> None:
    table = uniform(hash_words(7, torch.arange(300)[:, None], torch.arange(200)))
    assert float(table.min()) >= 0 and float(table.max()) < 1
    counts = torch.histc(table, bins=20, min=0, max=1)
    # 60000 numbers in 20 bins: chi-squared of 19 degrees stays below 43.8 with probability 0.999; the seed is fixed.
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 43.8
    centred = table - 0.5
    for shifted in (centred.roll(1, 0), centred.roll(1, 1)):
        # Correlation of neighbours: standard deviation 1/sqrt(60000) = 0.004.
        assert abs(float((centred * shifted).mean()) * 12) < 0.015


def test_uniform_never_reaches_one() -> None:
    assert float(uniform(as_word(-1))) == 1 - 2.0**-53
    assert float(uniform(as_word(0))) == 0
