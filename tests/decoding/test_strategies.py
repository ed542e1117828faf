"""Every registered unmasking strategy: its promises, and equality with a plain oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.sampling import SCORES
from dllm_rl.decoding.strategies import num_steps, quota
from dllm_rl.registry import STRATEGIES

Case = tuple[torch.Tensor, torch.Tensor, torch.Tensor, DecodingConfig, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """(scores, masked, step, settings, block size); scores are eighths, so that sums and ties are exact."""
    size, rows = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    steps = draw(st.none() | st.integers(1, size))
    config = DecodingConfig(denoising_steps_per_block=steps, dynamic_threshold=draw(st.integers(0, 9)) / 8,
                            eb_threshold=draw(st.integers(1, 20)) / 8)

    def table(element: st.SearchStrategy) -> list:
        return draw(st.lists(st.lists(element, min_size=size, max_size=size), min_size=rows, max_size=rows))

    step = draw(st.lists(st.integers(0, num_steps(config, size) - 1), min_size=rows, max_size=rows))
    return (torch.tensor(table(st.integers(0, 8))) / 8, torch.tensor(table(st.booleans())), torch.tensor(step),
            config, size)


def reveal(name: str, case: Case) -> torch.Tensor:
    scores, *rest = case
    strategy = STRATEGIES.load(name)()
    return strategy.reveal(-scores if strategy.score == "negative_entropy" else scores, *rest)


def oracle(name: str, scores: list[float], masked: list[bool], step: int, config: DecodingConfig, size: int) -> set[int]:
    """One row in words: columns to reveal; for ``entropy_bounded`` the scores are entropies."""
    steps = config.denoising_steps_per_block or size
    left = [column for column in range(size) if masked[column]]
    due = size // steps + (1 if step < size % steps else 0)
    if step == steps - 1:
        return set(left)
    confident = sorted(left, key=lambda column: (-scores[column], column))
    certain = sorted(left, key=lambda column: (scores[column], column))
    sums = np.cumsum([scores[column] for column in certain])
    return {
        "low_confidence_static": set(confident[:due]),
        "low_confidence_dynamic": {c for c in left if scores[c] > config.dynamic_threshold} | set(confident[:due]),
        "sequential": set(left[:due]),
        "entropy_bounded": set(certain[:max(1, int((sums < config.eb_threshold).sum()))]),
    }[name]


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(case=cases())
def test_reveals_what_the_oracle_reveals(name: str, case: Case) -> None:
    scores, masked, step, config, size = case
    found = reveal(name, case)
    for row in range(len(found)):
        expected = oracle(name, scores[row].tolist(), masked[row].tolist(), int(step[row]), config, size)
        assert set(found[row].nonzero()[:, 0].tolist()) == expected


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(case=cases(), garbage=st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e38]))
def test_reveals_masks_only_and_at_least_one(name: str, case: Case, garbage: float) -> None:
    scores, masked, step, config, size = case
    found = reveal(name, case)
    assert found.dtype == torch.bool
    assert not bool((found & ~masked).any())
    assert torch.equal(found.any(1), masked.any(1))
    # Scores of unmasked positions are never read, whatever stands there.
    assert torch.equal(reveal(name, (scores.masked_fill(~masked, garbage), masked, step, config, size)), found)


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(case=cases(), garbage=st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_useless_scores_cannot_stall_a_block(name: str, case: Case, garbage: float) -> None:
    scores, masked, *rest = case
    found = reveal(name, (torch.full_like(scores, garbage), masked, *rest))
    assert torch.equal(found.any(1), masked.any(1))
    assert not bool((found & ~masked).any())


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(case=cases())
def test_a_block_is_done_after_the_last_step(name: str, case: Case) -> None:
    scores, masked, _, config, size = case
    for step in range(num_steps(config, size)):
        masked = masked & ~reveal(name, (scores, masked, torch.full((len(masked),), step), config, size))
    assert not bool(masked.any())


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(case=cases())
def test_rows_do_not_influence_each_other(name: str, case: Case) -> None:
    scores, masked, step, config, size = case
    alone = [reveal(name, (scores[row:row + 1], masked[row:row + 1], step[row:row + 1], config, size))
             for row in range(len(masked))]
    assert torch.equal(torch.cat(alone), reveal(name, case))


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_ties_go_to_the_left(name: str) -> None:
    config = DecodingConfig(denoising_steps_per_block=4, dynamic_threshold=0.9, eb_threshold=0.1)
    masked = torch.tensor([[False, True, True, True]])
    case = (torch.full((1, 4), 0.5), masked, torch.tensor([0]), config, 4)
    assert reveal(name, case).tolist() == [[False, True, False, False]]


def test_ties_go_to_the_left_in_wide_blocks() -> None:
    size = 64
    scores, masked = torch.zeros(1, size), torch.ones(1, size, dtype=torch.bool)
    scores[0, ::3] = 0.5
    config = DecodingConfig(denoising_steps_per_block=4)
    found = reveal("low_confidence_static", (scores, masked, torch.tensor([0]), config, size))
    assert found[0].nonzero()[:, 0].tolist() == list(range(0, 48, 3))


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_declarations(name: str) -> None:
    strategy = STRATEGIES.load(name)()
    assert strategy.score in SCORES
    assert strategy.replay_class == "selection"
    assert strategy.sampler_class == {"confidence": "drawn", "negative_entropy": "distribution",
                                      "position": "sequential"}[strategy.score]


@pytest.mark.parametrize(("size", "steps", "due"), [
    (4, None, [1, 1, 1, 4]), (4, 2, [2, 4]), (8, 3, [3, 3, 8]), (5, 3, [2, 2, 5]), (3, 1, [3])])
def test_quota_is_the_split_of_the_block_and_then_all(size: int, steps: int | None, due: list[int]) -> None:
    config = DecodingConfig(denoising_steps_per_block=steps)
    assert quota(torch.arange(len(due)), config, size).tolist() == due


def test_dynamic_threshold_and_entropy_bound_are_strict() -> None:
    masked, step = torch.ones(1, 4, dtype=torch.bool), torch.tensor([0])
    config = DecodingConfig(dynamic_threshold=0.5, eb_threshold=0.5)
    scores = torch.tensor([[0.5, 0.75, 0.5, 0.625]])
    assert reveal("low_confidence_dynamic", (scores, masked, step, config, 4)).tolist() == [[False, True, False, True]]
    entropies = torch.tensor([[0.25, 1.0, 0.125, 0.125]])  # sums 0.125, 0.25, 0.5: the third is not below the bound
    assert reveal("entropy_bounded", (entropies, masked, step, config, 4)).tolist() == [[False, False, True, True]]
