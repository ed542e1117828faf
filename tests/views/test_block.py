"""Block views: native SDAR fine-tuning."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.options import BlockViewOptions
from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.views import block
from dllm_rl.views.block import block_views
from tests.helpers.samples import letters, rollouts


@given(rollout=rollouts(), seed=st.integers(0, 99))
def test_one_view_of_masked_targets_with_one_weight(rollout: Rollout, seed: int) -> None:
    [view] = block_views(rollout, BlockViewOptions(), ViewContext(seed=seed))
    start, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.response_ids)
    assert torch.equal(view.masked[:end], view.target[:end]) and view.masked[end:].all()
    assert not view.masked[:start].any() and not view.target[end:].any()
    assert bool(view.target.any())
    weights = view.weight[view.target]
    assert len(weights.unique()) == 1 and 1 <= float(weights[0]) <= 1000.001
    assert not view.weight[~view.target].any()


def test_the_weight_is_the_inverse_of_the_share_masked() -> None:
    sample = Sample([1, 2], [7] * 20_000)
    for seed in range(5):
        [view] = block_views(sample, BlockViewOptions(), ViewContext(4, seed))
        share, probability = float(view.target[2:].double().mean()), 1 / float(view.weight.max())
        # Standard deviation of the share: at most sqrt(.25 / 20000) = 0.0035.
        assert abs(share - probability) < 0.015


def test_a_ratio_per_block_gives_a_weight_per_block() -> None:
    sample = Sample([1, 2], list(range(38)))
    [view] = block_views(sample, BlockViewOptions(level="block"), ViewContext(block_size=4))
    assert view.block is not None
    weights = [view.weight[(view.block == number) & view.target].unique() for number in range(10)]
    assert all(len(own) <= 1 for own in weights)
    assert len(torch.cat(weights).unique()) > 4


def test_probabilities_cover_the_band() -> None:
    found = [1 / float(block_views(Sample([], [seed] * 50), BlockViewOptions(min_p=0.5), ViewContext(4))[0].weight.max())
             for seed in range(300)]
    assert min(found) >= 0.4999999
    # Mean of U(.5, 1): standard deviation sqrt(1 / 48 / 300) = 0.008.
    assert abs(sum(found) / 300 - 0.75) < 0.03


def test_one_token_is_forced_when_draws_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "MAX_DRAWS", 1)
    options, places = BlockViewOptions(min_p=1e-9), set()
    for seed in range(200):
        sample = Sample([1], [seed, 0, 0])
        [view] = block_views(sample, options, ViewContext(block_size=4))
        assert 1 <= int(view.target.sum()) <= 3
        probability = 1 / float(view.weight.max())
        if probability < 0.05:  # a mask of its own is unlikely here: most of these were forced
            places.add(letters(view, sample)[1])
    assert places == {"T..", ".T.", "..T"}


def test_min_p_1_masks_everything_with_weight_1() -> None:
    [view] = block_views(Sample([1], [2, 3, 4]), BlockViewOptions(min_p=1), ViewContext(block_size=2))
    assert view.weight.tolist() == [0, 1, 1, 1]


def test_an_empty_response_has_no_view() -> None:
    assert block_views(Sample([1], []), BlockViewOptions(), ViewContext(block_size=2)) == []
