"""The gate (METHODS 2.6): ``trace`` is the truth for samplers of class R, M and L and not of D; action views for all."""

import pytest
from benchmarks.exact.comparison import REWARDS, Row, compare, reward_table
from benchmarks.exact.samplers import SAMPLERS
from benchmarks.exact.table import TOLERANCE
from benchmarks.exact.toy import ToyShape

from dllm_rl.registry import POLICY_LOSSES

ACTION_VIEWS = ["trace_action", "trace_all"]
DRAWN = [name for name in SAMPLERS if name.startswith("D")]
SHAPES = {"whole": ToyShape(3, 3), "blocks": ToyShape(4, 2, block_size=2), "tail": ToyShape(4, 2, block_size=2, num_tail=1)}


def largest_error(rows: list[Row], view: str) -> float:
    return max(own.error for row in rows if row.view == view for own in row.figures)


@pytest.mark.parametrize("kind", REWARDS)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_action_views_are_the_truth_for_every_sampler(shape: str, sampler: str, kind: str) -> None:
    rows = compare(SHAPES[shape], sampler, ["trace", *ACTION_VIEWS], ["token_clip"], num_draws=1, kind=kind)
    for view in ACTION_VIEWS:
        assert largest_error(rows, view) <= TOLERANCE
    if sampler not in DRAWN and shape != "tail":
        assert largest_error(rows, "trace") <= TOLERANCE


@pytest.mark.parametrize("sampler", DRAWN)
def test_revealed_tokens_alone_are_not_the_truth_where_candidates_are_compared(sampler: str) -> None:
    rows = compare(SHAPES["whole"], sampler, ["trace"], ["token_clip"], num_draws=2)
    assert largest_error(rows, "trace") > 0.05


def test_a_tail_that_is_not_scored_leaves_a_bias() -> None:
    for sampler in ("R random order", "M entropy"):
        rows = compare(SHAPES["tail"], sampler, ["trace"], ["token_clip"], num_draws=2)
        assert largest_error(rows, "trace") > 1e-3


@pytest.mark.parametrize("loss", [*POLICY_LOSSES])
def test_every_policy_loss_has_figures(loss: str) -> None:
    [row] = compare(ToyShape(2, 2), "D static 1", ["trace_action"], [loss], num_draws=2)
    assert (row.view, row.loss, len(row.figures)) == ("trace_action", loss, 2)
    assert all(own.variance > 0 for own in row.figures)


def test_rewards_are_of_their_kind() -> None:
    shape = ToyShape(4, 3, num_tail=1)
    assert reward_table(shape, "binary", 0).shape == (3, 3, 3)
    assert set(reward_table(shape, "binary", 0).flatten().tolist()) == {0.0, 1.0}
    assert len(reward_table(shape, "real", 0).unique()) == 27
