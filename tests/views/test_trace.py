"""Trace views: the specification's rows, the reference's rows, hand-made corners of the absolute grid, invariants."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.options import TraceViewOptions
from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.views.trace import trace_views
from tests.helpers.samples import letters, rollouts
from tests.views.conftest import noisy_rows, padded_samples, target_rows

SIX = Sample([1, 2], [10, 11, 12, 13, 14, 15], [1, 3, 2, 4, 6, 5])
TEN = Sample([1, 2], list(range(10)), [4, 1, 1, 2, 7, 5, 6, 8, 9, 9])


def rows(sample: Sample | Rollout, size: Any, **options: Any) -> list[str]:
    """Rows of a sample as ``masks/targets``."""
    views = trace_views(sample, TraceViewOptions(**options), ViewContext(block_size=size, pad_token_id=9))
    return ["/".join(letters(view, sample)) for view in views]


@pytest.mark.parametrize(("sample", "size", "shrink", "expected"), [
    (SIX, 3, 1, ["MMMMMM/T..T..", ".MM.MM/..T..T", ".M..M./.T..T."]),
    (SIX, 3, 2, ["MMMMMM/T.TT.T", ".M..M./.T..T."]),
    (SIX, 3, 3, ["MMMMMM/TTTTTT"]),
    (TEN, 4, 1, ["MMMMMMMMMM/.TT..T..TT", "M..MM.MM../...T..T...", "M...M..M../T...T.....",
                 ".......M../.......T.."]),
    (TEN, 4, 2, ["MMMMMMMMMM/.TTT.TT.TT", "M...M..M../T...T..T.."]),
    (TEN, 4, 4, ["MMMMMMMMMM/TTTTTTTTTT"]),
])
def test_rows_of_the_specification(sample: Sample, size: int, shrink: int, expected: list[str]) -> None:
    assert rows(sample, size, shrink=shrink, grid="response") == expected


@pytest.mark.parametrize(("shrink", "expected"), [
    (2, ["MMMMMMMMMM/.TTT......", "M...MMMMMM/T....T....", "....M.MMMM/....T.T...", ".......MMM/.......TTT"]),
    (4, ["MMMMMMMMMM/TTTT.T....", "....M.MMMM/....T.TTTT"]),
    (8, ["MMMMMMMMMM/TTTTTTTTTT"]),
])
def test_full_attention_rows_of_the_specification(shrink: int, expected: list[str]) -> None:
    assert rows(TEN, "full", shrink=shrink) == expected
    assert len(rows(TEN, "full")) == 8


def test_noisy_copies_of_the_specification() -> None:
    views = trace_views(SIX, TraceViewOptions(grid="response"), ViewContext(block_size=3))
    noisy = [["M" if masked else token for token, masked in zip(SIX.response_ids, view.masked[2:].tolist(), strict=True)]
             for view in views]
    assert noisy == [["M"] * 6, [10, "M", "M", 13, "M", "M"], [10, "M", 12, 13, "M", 15]]


@pytest.mark.parametrize("name", ["trace", "trace_shrink2_post1_k3", "trace_klk1", "trace_nomap", "sft_trace"])
def test_rows_of_the_reference(training: dict[str, dict[str, Any]], name: str) -> None:
    entry = training[name]
    config, start = entry["config"], 0
    options = TraceViewOptions(shrink=config["shrink"], post_num=config["post_num"], grid="response")
    context = ViewContext(block_size=config["block_size"], pad_token_id=entry["pad_id"])
    for number, sample in enumerate(padded_samples(entry)):
        views = trace_views(sample, options, context)
        here, prompt = slice(start, start + len(views)), len(sample.prompt_ids)
        assert torch.equal(torch.stack([view.masked[prompt:] for view in views]), noisy_rows(entry)[here])
        assert torch.equal(torch.stack([view.target[prompt:] for view in views]), target_rows(entry)[here])
        if "row_rewards" in entry:
            assert entry["row_rewards"][here] == [entry["rewards"][number]] * len(views)
        start += len(views)
    assert start == len(entry["p_mask"])


def test_a_missing_step_map_is_left_to_right(training: dict[str, dict[str, Any]]) -> None:
    entry = training["trace_nomap"]
    context = ViewContext(block_size=4)
    for sample in padded_samples(entry):
        plain = Sample(sample.prompt_ids, sample.response_ids)
        first, second = (trace_views(one, TraceViewOptions(), context) for one in (plain, sample))
        assert [letters(view, plain) for view in first] == [letters(view, sample) for view in second]


@pytest.mark.parametrize(("prompt", "expected"), [
    # Blocks of 4; of the prompt's 5 tokens one stands in the first response block.
    (5, ["MMM/T..", ".MM/..T", ".M./.T."]),
    # 7 tokens: three left-overs, then a block with two tokens.
    (7, ["MMM/T.T", ".M./.T."]),
    (8, ["MMM/T..", ".MM/..T", ".M./.T."]),
    # Shorter than a block.
    (2, ["MMM/T.T", ".M./.T."]),
])
def test_prompt_left_overs_shift_the_absolute_grid(prompt: int, expected: list[str]) -> None:
    sample = Sample([1] * prompt, [20, 21, 22], [1, 3, 2])
    assert rows(sample, 4) == expected
    views = trace_views(sample, TraceViewOptions(), ViewContext(block_size=4))
    assert not any(view.masked[:prompt].any() for view in views)


def test_exhausted_blocks_are_visible_and_hold_no_target() -> None:
    # Blocks {a b} {c d} on the absolute grid: the first has one group, the second two.
    assert rows(Sample([1, 1], [5, 6, 7, 8], [1, 1, 2, 3]), 2) == ["MMMM/TTT.", "...M/...T"]


def test_the_tail_is_masked_with_its_step_and_never_predicted() -> None:
    # One block of 4: a at step 1, tail token x at step 2, b at step 3, tail token y at step 3.
    rollout = Rollout([], [5, 6], [1, 3], tail_ids=[7, 8], tail_steps=[2, 3], block_size=4)
    assert rows(rollout, None) == ["MMMM/T...", ".M.M/.T.."]
    views = trace_views(rollout, TraceViewOptions(), ViewContext())
    assert [view.node for view in views] == [0, 2]


def test_shrink_merges_the_tails_steps_too() -> None:
    # Ids 1, 2 (tail), 3: with shrink 2 the groups are {1, 2} and {3}; without the tail they would be one.
    rollout = Rollout([], [5, 6], [1, 3], tail_ids=[7, 8], tail_steps=[2, 3], block_size=4)
    assert rows(rollout, None, shrink=2) == ["MMMM/T...", ".M.M/.T.."]
    visible = Rollout([], [5, 6], [1, 3], block_size=4)
    assert rows(visible, None, shrink=2) == ["MM/TT"]


def test_a_round_that_predicts_only_tail_is_dropped() -> None:
    rollout = Rollout([1], [5], [2], tail_ids=[7, 8], tail_steps=[1, 3], block_size=4)
    assert rows(rollout, None) == ["M.M/T.."]


def test_a_tail_token_that_was_never_revealed_is_masked_throughout() -> None:
    rollout = Rollout([1], [5, 6], [1, 2], tail_ids=[7], tail_steps=[0], block_size=4)
    assert rows(rollout, None) == ["MMM/T..", ".MM/.T."]


def test_pads_beyond_post_num_stay_masked_and_lose_their_target() -> None:
    # Pad 9; each round counts anew. Round 0 predicts pads 1 and 2 of the response, round 1 the third.
    sample = Sample([], [5, 9, 9, 9], [2, 1, 1, 2])
    assert rows(sample, 4) == ["MMMM/.TT.", "M..M/T..T"]
    assert rows(sample, 4, post_num=1) == ["MMMM/.T..", "M..M/T..T"]
    assert rows(sample, 4, post_num=0) == ["M..M/T..."]


def test_a_number_of_rounds_is_bounded_by_block_and_shrink() -> None:
    for shrink, bound in ((1, 4), (2, 2), (3, 2), (4, 1)):
        assert len(rows(Sample([1], list(range(20))), 4, shrink=shrink)) == bound


def test_an_empty_response_has_no_views() -> None:
    assert rows(Sample([1, 2], []), 4) == []
    assert rows(Rollout([1], [], [], tail_ids=[3], tail_steps=[1], block_size=2), None) == []


@given(rollout=rollouts(), shrink=st.integers(1, 3), grid=st.sampled_from(["absolute", "response"]))
def test_every_response_token_is_predicted_once(rollout: Rollout, shrink: int, grid: Any) -> None:
    views = trace_views(rollout, TraceViewOptions(shrink=shrink, grid=grid), ViewContext())
    counts = torch.stack([view.target for view in views]).sum(0)
    prompt, response = len(rollout.prompt_ids), len(rollout.response_ids)
    assert counts.tolist() == [0] * prompt + [1] * response + [0] * len(rollout.tail_ids)
    assert all(bool((view.masked | ~view.target).all()) for view in views)


@given(rollout=rollouts())
def test_each_block_stands_as_the_sampler_saw_it(rollout: Rollout) -> None:
    steps = [0] * len(rollout.prompt_ids) + rollout.step_map + rollout.tail_steps
    for view in trace_views(rollout, TraceViewOptions(), ViewContext()):
        for place in view.target.nonzero()[:, 0].tolist():
            own = place // (rollout.block_size or 0)
            saw = [step >= steps[place] for other, step in enumerate(steps) if other // rollout.block_size == own]
            block = slice(own * rollout.block_size, (own + 1) * rollout.block_size)
            assert view.masked[block].tolist() == saw
