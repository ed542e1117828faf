"""Draws: pinned values, uniformity, and that a number depends on its arguments alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.decoding.draws import MAX_SEED, Purpose, hash_ids, request_seed, request_seeds, uniform

WORD = (1 << 64) - 1
WORDS = st.integers(0, MAX_SEED)


def oracle(*values: int) -> int:
    """The hash in plain Python integers: SplitMix64's finaliser over a running state."""
    state = 0
    for value in values:
        state = ((state ^ value) + 0x9E3779B97F4A7C15) & WORD
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & WORD
        state = (state ^ state >> 27) * 0x94D049BB133111EB & WORD
        state ^= state >> 31
    return state


@pytest.mark.parametrize(("seed", "position", "step", "value"), [
    (0, 0, 1, "0x1.b3ddefe0e7a6fp-1"),
    (0, 1, 1, "0x1.f54c50552bb53p-1"),
    (0, 0, 2, "0x1.c7fc474a133e2p-1"),
    (1, 0, 1, "0x1.23be562ca4005p-1"),
    (MAX_SEED, 4095, 77, "0x1.aa18df5c9a5b0p-2"),
])
def test_pinned_numbers(seed: int, position: int, step: int, value: str) -> None:
    arguments = [torch.tensor(number) for number in (seed, position, step)]
    assert float(uniform(*arguments, Purpose.CANDIDATE)) == float.fromhex(value)


def test_pinned_seeds() -> None:
    assert [hash_ids(ids) for ids in ([], [5], [5, 6, 7])] == [
        2812178212566171247, 2747567018864725209, 7160913714073219671]
    assert request_seed(0, 0, 0) == 2558736989570252433
    assert request_seed(7, hash_ids([5, 6, 7]), 3) == 5074695819579035429


@given(seed=WORDS, position=st.integers(0, 1 << 20), step=st.integers(1, 1 << 20))
def test_tensors_give_the_numbers_of_python_integers(seed: int, position: int, step: int) -> None:
    arguments = [torch.tensor(number) for number in (seed, position, step)]
    expected = (oracle(seed, position, step, 0) >> 11) / 2**53
    assert float(uniform(*arguments, Purpose.CANDIDATE)) == expected


@given(run_seed=st.integers(0, 1 << 70), key=WORDS, sample=st.integers(0, 1 << 20))
def test_request_seeds_are_63_bit_integers(run_seed: int, key: int, sample: int) -> None:
    seed = request_seed(run_seed, key, sample)
    assert seed == oracle(run_seed & WORD, key, sample) & MAX_SEED
    assert 0 <= seed < 2**63


def test_numbers_do_not_depend_on_the_shape_of_the_batch() -> None:
    seeds, positions, steps = torch.arange(5)[:, None], torch.arange(7), torch.arange(1, 6)[:, None]
    table = uniform(seeds, positions, steps, Purpose.CANDIDATE)
    assert table.shape == (5, 7)
    for row in range(5):
        for column in range(7):
            alone = uniform(seeds[row, 0], positions[column], steps[row, 0], Purpose.CANDIDATE)
            assert torch.equal(alone, table[row, column])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_numbers_are_uniform_and_independent_along_every_argument(axis: int) -> None:
    arguments = [torch.tensor(0), torch.tensor(0), torch.tensor(1)]
    arguments[axis] = torch.arange(40000)
    numbers = uniform(*arguments, Purpose.CANDIDATE)
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    # Chi-squared of 15 degrees exceeds 37.7 with probability 0.001; the draws are fixed.
    counts = torch.histc(numbers, bins=16, min=0, max=1)
    assert float(((counts - 2500) ** 2 / 2500).sum()) < 37.7
    # 1/sqrt(40000) = 0.005 is one standard deviation of a neighbours' correlation.
    assert abs(float(((numbers - 0.5) * (numbers.roll(1) - 0.5)).mean()) * 12) < 0.02


@pytest.mark.cuda
def test_a_gpu_gives_the_same_numbers() -> None:
    arguments = [torch.arange(1000)[:, None] * 7919, torch.arange(50), torch.tensor(3)]
    numbers = uniform(*(tensor.cuda() for tensor in arguments), Purpose.CANDIDATE)
    assert torch.equal(numbers.cpu(), uniform(*arguments, Purpose.CANDIDATE))


def test_default_seeds_follow_the_prompt_wherever_it_stands() -> None:
    first, second = [3, 4], [9]
    seeds = request_seeds(7, [first, second], 3)
    assert seeds == request_seeds(7, [second, first], 3)[::-1]
    assert seeds[0] == request_seeds(7, [first], 3)[0]
    assert seeds[0][:2] == request_seeds(7, [first], 2)[0]
    assert seeds != request_seeds(8, [first, second], 3)


def test_a_repeated_prompt_gets_other_seeds() -> None:
    seeds = request_seeds(0, [[3], [4], [3]], 2)
    assert len({seed for row in seeds for seed in row}) == 6
