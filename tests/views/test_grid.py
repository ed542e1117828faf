"""Grids and trace groups."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.attention import may_attend
from dllm_rl.config.options import MaskViewOptions
from dllm_rl.records import Layout, Rollout, Sample, ViewContext
from dllm_rl.records.layout import NO_PARENT
from dllm_rl.views.grid import GRIDS, absolute_grid, block_size_of, blocks_of, response_grid, step_groups
from tests.views.conftest import padded_samples

ROLLOUT = Rollout([1] * 5, [2] * 4, [1] * 4, tail_ids=[3, 3, 3], tail_steps=[1] * 3, block_size=4)


def test_absolute_grid_counts_from_the_sequence_start() -> None:
    assert absolute_grid(ROLLOUT, 4).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_response_grid_counts_from_the_response_both_ways() -> None:
    assert response_grid(ROLLOUT, 3).tolist() == [-2, -2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2]


@given(num_prompt=st.integers(0, 20), num_response=st.integers(0, 20), size=st.integers(1, 7))
def test_response_grid_is_the_documented_formula(num_prompt: int, num_response: int, size: int) -> None:
    prompt = [-1 - (num_prompt - 1 - place) // size for place in range(num_prompt)]
    response = [offset // size for offset in range(num_response)]
    assert response_grid(Sample([0] * num_prompt, [0] * num_response), size).tolist() == prompt + response


def test_the_grids_agree_where_the_prompt_fills_its_blocks() -> None:
    sample = Sample([1] * 6, [2] * 5)
    assert torch.equal(absolute_grid(sample, 3) - 2, response_grid(sample, 3))


def test_every_grid_option_has_a_grid() -> None:
    assert set(GRIDS) == set(MaskViewOptions.model_fields["grid"].annotation.__args__)  # type: ignore[union-attr]


def test_block_size_of_the_call_wins_over_the_rollouts_own() -> None:
    assert block_size_of(ROLLOUT, ViewContext()) == 4
    assert block_size_of(ROLLOUT, ViewContext(block_size=2)) == 2


def test_no_block_size_at_all_is_an_error_that_says_what_to_pass() -> None:
    with pytest.raises(ValueError, match=r"pass block_size=, for instance the model's own lm.block_size"):
        block_size_of(Sample([1], [2]), ViewContext())


@pytest.mark.parametrize(("shrink", "merged"), [
    (1, [5, 5, 7, 9, 20, 30, 30, 31]), (2, [7, 7, 7, 20, 20, 31, 31, 31]), (6, [31] * 8), (99, [31] * 8)])
def test_shrink_example_of_the_specification(shrink: int, merged: list[int]) -> None:
    steps = [5, 5, 7, 9, 20, 30, 30, 31]
    groups = step_groups(torch.tensor(steps), torch.zeros(8, dtype=torch.long), shrink).tolist()
    largest = {group: max(step for step, own in zip(steps, groups, strict=True) if own == group) for group in groups}
    assert [largest[group] for group in groups] == merged


@given(tokens=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 9)), max_size=20), shrink=st.integers(1, 4))
def test_groups_equal_a_plain_loop(tokens: list[tuple[int, int]], shrink: int) -> None:
    expected = [sorted({step for other, step in tokens if other == block}).index(own) // shrink
                for block, own in tokens]
    blocks, steps = torch.tensor(tokens, dtype=torch.long).reshape(-1, 2).T
    assert step_groups(steps, blocks, shrink).tolist() == expected


def test_response_grid_gives_upstreams_attention(training: dict[str, dict[str, Any]]) -> None:
    entry = training["trace"]
    context = ViewContext(block_size=entry["config"]["block_size"])
    row = {sample: entry["row_rewards"].index(entry["rewards"][sample]) for sample in range(3)}
    for number, sample in enumerate(padded_samples(entry)):
        block = blocks_of(sample, MaskViewOptions(grid="response"), context)
        place = torch.arange(len(block))
        where = torch.cat([place, place[len(sample.prompt_ids):]])
        view = (torch.arange(len(where)) >= len(place)).long()
        layout = Layout(where, torch.zeros_like(where), torch.full_like(where, NO_PARENT), view, block[where])
        pads = entry["L0"] - len(sample.prompt_ids)
        expected = entry["attention_mask"][row[number], 0].bool()
        assert torch.equal(may_attend(layout, layout), expected[pads:, pads:])
        assert not expected[pads:, :pads].any()
