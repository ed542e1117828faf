"""From masks to views: the pad rule, the tail, and upstream's own draws."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dllm_rl.config.options import BlockViewOptions, MaskViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views import view_of_mask
from dllm_rl.views.masks import keep_first_pads, with_targets
from tests.helpers.samples import letters, rollouts
from tests.views.conftest import noisy_rows, padded_samples, target_rows

PAD = 9


@pytest.mark.parametrize(("post_num", "kept"), [(None, "TT.TTT"), (0, "T...T."), (1, "TT..T."), (2, "TT.TT."),
                                                (3, "TT.TTT")])
def test_only_the_first_pads_stay_targets(post_num: int | None, kept: str) -> None:
    target = torch.tensor([True, True, False, True, True, True])
    found = keep_first_pads(target, torch.tensor([1, PAD, PAD, PAD, 2, PAD]), post_num, PAD)
    assert "".join("T" if one else "." for one in found.tolist()) == kept


def test_limiting_unknown_pads_is_an_error() -> None:
    with pytest.raises(ValueError, match="post_num=1 limits pads as targets, but the pad token is unknown; pass pad"):
        view_of_mask(Sample([1], [2]), torch.tensor([True]), MaskViewOptions(post_num=1), ViewContext(block_size=2))


def test_a_view_masks_the_tail_and_does_not_predict_it() -> None:
    rollout = Rollout([1, 1], [5, 6, PAD], [1, 2, 2], tail_ids=[7, 7, 7], tail_steps=[1, 1, 2], block_size=4)
    mask = torch.tensor([True, False, True])
    view = view_of_mask(rollout, mask, MaskViewOptions(post_num=0), ViewContext(pad_token_id=PAD), draw=4)
    assert letters(view, rollout) == ("M.MMMM", "T.....")
    assert view.weight.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert (view.draw, view.node, view.block) == (4, None, None)


def test_weights_stand_at_targets_only() -> None:
    sample = Sample([1], [5, 6, PAD])
    view = view_of_mask(sample, torch.tensor([False, True, True]), MaskViewOptions(post_num=0),
                        ViewContext(block_size=2, pad_token_id=PAD), weight=torch.tensor([2.0, 3.0, 4.0]))
    assert view.weight.tolist() == [0, 0, 3, 0]
    assert view.weight.dtype == torch.float32


@pytest.mark.parametrize(("own", "asked", "grid", "block"), [
    (2, None, "absolute", None), (2, 2, "absolute", None), (2, 3, "absolute", [0, 0, 0, 1, 1]),
    (None, 2, "absolute", [0, 0, 1, 1, 2]), (2, None, "response", [-2, -1, -1, 0, 0])])
def test_the_grid_is_in_the_view_unless_it_is_the_rollouts_own(own: int | None, asked: int | None, grid: Any,
                                                               block: list[int] | None) -> None:
    rollout = Rollout([1, 1, 1], [2, 2], [1, 1], block_size=own)
    view = view_of_mask(rollout, torch.ones(2, dtype=torch.bool), MaskViewOptions(grid=grid),
                        ViewContext(block_size=asked))
    assert (view.block if view.block is None else view.block.tolist()) == block


@pytest.mark.parametrize("mask", [torch.ones(3, dtype=torch.bool), torch.ones(2), torch.ones(1, 2, dtype=torch.bool)])
def test_a_mask_is_one_bool_per_response_token(mask: Tensor) -> None:
    with pytest.raises(ValueError, match=r"a bool per response token is needed, shape \(2,\)"):
        view_of_mask(Sample([1], [2, 2]), mask, MaskViewOptions(), ViewContext(block_size=2))


@given(rollout=rollouts(), bits=st.integers(0, 2**14), post_num=st.none() | st.integers(0, 3))
def test_targets_are_masked_response_tokens(rollout: Rollout, bits: int, post_num: int | None) -> None:
    mask = torch.tensor([bool(bits >> place & 1) for place in range(len(rollout.response_ids))])
    view = view_of_mask(rollout, mask, MaskViewOptions(post_num=post_num), ViewContext(pad_token_id=PAD))
    start, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.response_ids)
    assert bool((view.masked | ~view.target).all())
    assert not view.masked[:start].any() and view.masked[end:].all() and not view.target[end:].any()
    assert torch.equal(view.masked[start:end], mask)
    assert torch.equal(view.weight > 0, view.target)


def response_part(views: list[View], samples: list[Sample], field: str) -> Tensor:
    """(R, L1) one field of views whose prompts differ in length."""
    return torch.stack([vars(view)[field][len(sample.prompt_ids):]
                        for view, sample in zip(views, samples, strict=True)])


def upstream_masks(entry: dict[str, Any]) -> Tensor:
    """(n, L1) bool masks of an entry's seed in the original's order of draws."""
    config, length = entry["config"], entry["L1"]
    torch.manual_seed(entry["seed"])
    masks = []
    for _ in entry["input_ids"]:
        if config["method"] == "semi-ar":
            ratio = torch.empty(length).uniform_(config["lower_p"], config["upper_p"])
            masks.append(torch.rand(length) <= ratio)
            continue
        parts = []
        for start in range(0, length, config["block_size"]):
            width = min(config["block_size"], length - start)
            number = torch.rand(width)
            parts.append(number <= torch.empty(width).uniform_(config["lower_p"], config["upper_p"]))
        masks.append(torch.cat(parts))
    return torch.stack(masks)


@pytest.mark.parametrize("name", ["random_masking", "coupled", "sft_semi_ar"])
def test_random_rows_of_the_reference(training: dict[str, dict[str, Any]], name: str) -> None:
    entry = training[name]
    samples, drawn = padded_samples(entry), upstream_masks(entry)
    if entry["config"]["method"] == "coupled":
        samples, drawn = samples * 2, torch.cat([drawn, ~drawn])
    options = MaskViewOptions(post_num=entry["config"]["post_num"], grid="response")
    context = ViewContext(block_size=entry["config"]["block_size"], pad_token_id=entry["pad_id"])
    views = [view_of_mask(sample, mask, options, context) for sample, mask in zip(samples, drawn, strict=True)]
    assert len(with_targets(views)) == len(entry["p_mask"])
    assert torch.equal(response_part(views, samples, "masked"), noisy_rows(entry))
    assert torch.equal(response_part(views, samples, "target"), target_rows(entry))


def native_draws(entry: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Masks and probabilities (n,) of every packed row of an entry's seed, in the original's order of draws."""
    torch.manual_seed(entry["seed"])
    masks, probabilities = [], []
    for labels, lengths in zip(entry["labels"], entry["num_tokens"], strict=True):
        mask = torch.zeros_like(labels, dtype=torch.bool)
        while not mask.any():
            ratio = (1 - 1e-3) * torch.rand(len(lengths)) + 1e-3
            probability = ratio.repeat_interleave(torch.tensor(lengths))
            mask = (torch.rand(1, len(labels))[0] < probability) & (labels != -100)
        masks.append(mask)
        probabilities.append(probability)
    return masks, probabilities


@pytest.mark.parametrize("name", ["single", "packed_pad", "batch2"])
def test_native_rows_of_the_reference(native: dict[str, dict[str, Any]], name: str) -> None:
    entry = native[name]
    found_masks, found_weights = [], []
    for row, (mask, probability) in enumerate(zip(*native_draws(entry), strict=True)):
        start = 0
        for length in entry["num_tokens"][row]:
            here = slice(start, start + length)
            answer = entry["labels"][row, here] != -100
            prompt = int((~answer).sum())
            ids = entry["input_ids"][row, here].tolist()
            view = view_of_mask(Sample(ids[:prompt], ids[prompt:]), mask[here][prompt:], BlockViewOptions(),
                                ViewContext(block_size=entry["block_size"]), weight=1 / probability[here][prompt:])
            assert view.block is not None
            assert view.block.tolist() == [place // entry["block_size"] for place in range(length)]
            assert torch.equal(view.masked, view.target)
            found_masks.append(view.masked)
            found_weights.append(view.weight[view.target])
            start += length
    assert torch.equal(torch.cat(found_masks), entry["masked"].flatten().bool())
    assert torch.equal(torch.cat(found_masks), (entry["noisy_ids"] == entry["mask_id"]).flatten())
    torch.testing.assert_close(torch.cat(found_weights), 1 / entry["p_mask"], rtol=1e-6, atol=0)
