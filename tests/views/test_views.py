"""``build_views``: every registered entry, options and errors."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.config.options import MaskViewOptions
from dllm_rl.records import Rollout, Sample, View
from dllm_rl.registry import VIEWS
from dllm_rl.views import build_views
from tests.helpers.samples import rollouts

NAMES = list(VIEWS)
MASKING = [name for name in NAMES if issubclass(VIEWS.options(name), MaskViewOptions)]


def same(first: list[View], second: list[View]) -> bool:
    """Whether two lists of views say the same."""
    if len(first) != len(second):
        return False
    return all(a.draw == b.draw and a.node == b.node and torch.equal(a.masked, b.masked)
               and torch.equal(a.target, b.target) and torch.equal(a.weight, b.weight)
               for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(some=st.lists(rollouts(), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_views_depend_on_the_sample_alone(name: str, some: list[Rollout], seed: int) -> None:
    together = build_views(name, some, seed=seed)
    reversed_order = build_views(name, some[::-1], seed=seed)[::-1]
    alone = [build_views(name, [one], seed=seed)[0] for one in some]
    assert all(same(a, b) and same(a, c) for a, b, c in zip(together, reversed_order, alone, strict=True))


@pytest.mark.parametrize("name", MASKING)
@settings(max_examples=30)
@given(rollout=rollouts(), post_num=st.none() | st.integers(0, 2), grid=st.sampled_from(["absolute", "response"]))
def test_targets_are_masked_response_tokens(name: str, rollout: Rollout, post_num: int | None, grid: str) -> None:
    [views] = build_views(name, [rollout], pad_token_id=9, post_num=post_num, grid=grid)
    start, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.response_ids)
    for view in views:
        assert view.masked.shape == (end + len(rollout.tail_ids),)
        assert view.target.any() and bool((view.masked | ~view.target).all())
        assert not view.target[:start].any() and not view.target[end:].any() and not view.masked[:start].any()
        assert torch.equal(view.weight > 0, view.target)
        pads = view.target[start:end] & (torch.tensor(rollout.response_ids) == 9)
        assert post_num is None or int(pads.sum()) <= post_num


@pytest.mark.parametrize("name", MASKING)
def test_an_unknown_option_is_an_error_with_the_nearest(name: str) -> None:
    with pytest.raises(ValueError, match=rf"view '{name}' has no option 'post_nun'; did you mean 'post_num'\?"):
        build_views(name, [Sample([1], [2])], block_size=2, post_nun=1)


@pytest.mark.parametrize("name", NAMES)
def test_no_block_size_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="pass block_size="):
        build_views(name, [Sample([1], [2])])


@pytest.mark.parametrize("name", NAMES)
def test_no_samples_give_no_views(name: str) -> None:
    assert build_views(name, []) == []
    assert build_views(name, [Sample([1], [])], block_size=2) == [[]]


def test_a_value_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"view 'trace': shrink: .*greater than or equal to 1 \(given: 0\)"):
        build_views("trace", [Sample([1], [2])], block_size=2, shrink=0)


def test_a_block_size_below_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="block_size is 0; it must be 1 or larger"):
        build_views("trace", [Sample([1], [2])], block_size=0)


def test_an_unknown_view_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown view 'traces'; did you mean 'trace'"):
        build_views("traces", [Sample([1], [2])], block_size=2)


def test_equal_ids_with_other_request_seeds_get_other_masks() -> None:
    twins = [Rollout([1], list(range(20)), [1] * 20, block_size=4, seed=seed) for seed in (1, 2)]
    first, second = build_views("random", twins)
    assert not same(first, second)


def test_a_users_own_view_gets_its_options_as_a_dictionary(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from dllm_rl.records import View\n"
        "def last(sample, options, context):\n"
        "    mask = torch.zeros(len(sample.prompt_ids) + len(sample.response_ids), dtype=torch.bool)\n"
        "    mask[-options['count']:] = True\n"
        "    return [View.of_targets(mask, mask)]\n")
    [[view]] = build_views("./mine.py:last", [Sample([1], [2, 3, 4])], folder=tmp_path, count=2)
    assert view.target.tolist() == [False, False, True, True]
