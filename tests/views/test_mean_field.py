"""Mean-field views: everything masked, and part of the prompt."""

from typing import Any

import torch

from dllm_rl.config.options import MeanFieldViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.mean_field import mean_field_views
from tests.helpers.samples import letters


def view_of(sample: Sample | Rollout, options: dict[str, Any], **context: Any) -> View:
    """The only view."""
    [view] = mean_field_views(sample, MeanFieldViewOptions(**options),
                              ViewContext(**{"block_size": "full", "pad_token_id": 9, **context}))
    return view


def test_everything_behind_the_prompt_is_masked_and_all_but_the_tail_predicted() -> None:
    rollout = Rollout([1, 2], [3, 4, 9], [1, 3, 2], tail_ids=[9, 9], tail_steps=[4, 4])
    view = view_of(rollout, {})
    assert letters(view, rollout) == ("MMMMM", "TTT..") and not view.masked[:2].any()
    assert view.weight.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert letters(view_of(rollout, {"post_num": 0}), rollout) == ("MMMMM", "TT...")


def test_prompt_tokens_are_masked_with_their_probability_anew_in_each_pass() -> None:
    sample = Sample([1] * 20_000, [2, 3])
    first, again, other = (view_of(sample, {"p_mask_prompt": 0.15}, num_passes=2, pass_number=number).masked[:-2]
                           for number in (0, 0, 1))
    # 20000 tokens: standard deviation of the share sqrt(.1275 / 20000) = 0.0025.
    assert abs(float(first.double().mean()) - 0.15) < 0.01
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert view_of(sample, {"p_mask_prompt": 1.0}).masked.all()
    assert not view_of(sample, {"p_mask_prompt": 1.0}).target[:-2].any()


def test_an_empty_response_has_no_view() -> None:
    assert mean_field_views(Sample([1, 2], []), MeanFieldViewOptions(), ViewContext(block_size="full")) == []
