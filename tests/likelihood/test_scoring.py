"""Replay: log-probabilities at trace targets are the sampler's own. Equality: packing changes nothing."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.attention import DenseAttention
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import target_logprobs
from dllm_rl.records import Layout, Rollout, Sample, View
from dllm_rl.registry import STRATEGIES
from dllm_rl.views import build_views

TOLERANCE = 2e-5
"""fp32 rounding of other shapes and orders of summation; logits reach 16."""


@pytest.fixture(scope="module")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


def prompts(lengths: list[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(0, 490, (length,), generator=generator).tolist() for length in lengths]


def at_positions(rollout: Rollout, views: list[View], values: list[torch.Tensor]) -> torch.Tensor:
    """Values of all views put in the order of the response."""
    out = torch.full((len(rollout.response_ids),), float("nan"))
    for view, found in zip(views, values, strict=True):
        out[view.target.nonzero()[:, 0] - len(rollout.prompt_ids)] = found.detach()
    return out


def assert_replays(lm: LanguageModel, rollouts: list[Rollout]) -> None:
    views = build_views("trace", rollouts)
    raw = target_logprobs(lm, rollouts, views)
    decoding = target_logprobs(lm, rollouts, views, distribution="decoding", max_tokens=256)
    for rollout, own, plain, processed in zip(rollouts, views, raw, decoding, strict=True):
        for found, recorded in ((plain, rollout.raw_logprobs), (processed, rollout.logprobs)):
            torch.testing.assert_close(at_positions(rollout, own, found), torch.tensor(recorded),
                                       atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if not STRATEGIES.load(name).adapts_blocks])
@pytest.mark.parametrize("size", [1, 4, 8])
def test_replay_for_every_strategy_and_prompt_remainder(lm: LanguageModel, strategy: str, size: int) -> None:
    config = DecodingConfig(remasking_strategy=strategy, block_size=size, max_gen_length=13, dynamic_threshold=0.2,
                            eb_threshold=6.0, seed=3)
    groups = generate(lm, prompts(list(range(1, 2 * size + 2))), config, num_samples=2)
    assert_replays(lm, [rollout for group in groups for rollout in group])


@settings(max_examples=20, deadline=None)
@given(temperature=st.sampled_from([0.0, 0.5, 1.0, 1.7]), top_k=st.sampled_from([0, 1, 20]),
       top_p=st.sampled_from([0.5, 0.95, 1.0]), steps=st.integers(1, 4), seed=st.integers(0, 1000))
def test_replay_of_filtered_distributions(lm: LanguageModel, temperature: float, top_k: int, top_p: float, steps: int,
                                          seed: int) -> None:
    config = DecodingConfig(temperature=temperature, top_k=top_k, top_p=top_p, denoising_steps_per_block=steps,
                            max_gen_length=11, dynamic_threshold=0.3, seed=seed)
    groups = generate(lm, prompts([3, 6, 8]), config)
    assert_replays(lm, [rollout for group in groups for rollout in group])


def test_replay_of_a_response_that_stops_inside_a_block(lm: LanguageModel) -> None:
    free = generate(lm, prompts([6]), DecodingConfig(max_gen_length=16, dynamic_threshold=0.1))[0][0]
    stops = sorted(set(free.response_ids))[:6]
    config = DecodingConfig(max_gen_length=16, dynamic_threshold=0.1, stop_token_list=stops)
    rollout = generate(lm, prompts([6]), config)[0][0]
    assert rollout.finish_reason == "stop"
    assert rollout.tail_ids
    assert_replays(lm, [rollout])
    without_tail = Rollout(rollout.prompt_ids, rollout.response_ids, rollout.step_map, block_size=4)
    views = build_views("trace", [without_tail])
    blind = at_positions(without_tail, views[0], target_logprobs(lm, [without_tail], views)[0])
    assert (blind - torch.tensor(rollout.raw_logprobs)).abs().max() > 1e-2      # the tail is not decoration


def gradients(lm: LanguageModel, samples: list[Rollout], views: list[list[View]], max_tokens: int | None
              ) -> dict[str, torch.Tensor]:
    lm.backbone.zero_grad()
    values = target_logprobs(lm, samples, views, max_tokens=max_tokens)
    weights = torch.Generator().manual_seed(1)
    flat = torch.cat([value for own in values for value in own])
    (flat * torch.randn(flat.shape, generator=weights)).sum().backward()
    return {name: p.grad.clone() for name, p in lm.backbone.named_parameters()}


def unpacked_gradients(lm: LanguageModel, samples: list[Rollout], views: list[list[View]]) -> dict[str, torch.Tensor]:
    """The same loss from one row ``[clean | noisy]`` per view, dense attention, no packing code involved."""
    lm.backbone.zero_grad()
    weights = torch.Generator().manual_seed(1)
    values = []
    for sample, own in zip(samples, views, strict=True):
        ids = torch.tensor(sample.prompt_ids + sample.response_ids + sample.tail_ids)
        place = torch.arange(len(ids))
        zero = torch.zeros(2 * len(ids), dtype=torch.long)
        layout = Layout(place.repeat(2), zero, zero - 1, torch.cat([zero[:len(ids)], zero[:len(ids)] + 1]),
                        place.repeat(2) // sample.block_size).reshape(1, -1)
        for view in own:
            row = torch.cat([ids, torch.where(view.masked, lm.mask_token_id, ids)])[None]
            hidden = lm.hidden(row, layout.position, DenseAttention(layout))[0, len(ids):]
            values.append(lm.head(hidden).log_softmax(-1)[place, ids][view.target])
    flat = torch.cat(values)
    (flat * torch.randn(flat.shape, generator=weights)).sum().backward()
    return {name: p.grad.clone() for name, p in lm.backbone.named_parameters()}


@pytest.mark.parametrize("max_tokens", [None, 70])
def test_packs_and_one_row_per_view_give_equal_gradients(lm: LanguageModel, max_tokens: int | None) -> None:
    config = DecodingConfig(max_gen_length=18, dynamic_threshold=0.3)
    rollouts = [rollout for group in generate(lm, prompts([9, 12]), config, num_samples=3) for rollout in group]
    views = build_views("trace", rollouts)
    packed, plain = gradients(lm, rollouts, views, max_tokens), unpacked_gradients(lm, rollouts, views)
    for name, grad in plain.items():
        torch.testing.assert_close(packed[name], grad, atol=1e-5 * float(grad.abs().max()), rtol=1e-5)


def test_samples_without_settings_cannot_replay_a_decoding_distribution(lm: LanguageModel) -> None:
    sample = Sample([1, 2], [3, 4])
    with pytest.raises(ValueError, match="sample 0 has no recorded decoding settings"):
        target_logprobs(lm, [sample], build_views("trace", [sample], block_size=4), distribution="decoding")


def test_values_do_not_depend_on_company(lm: LanguageModel) -> None:
    samples = [Sample(ids, list(range(20, 33))) for ids in prompts([5, 8, 8])]
    views = build_views("random", samples, block_size=4, seed=5)
    together = target_logprobs(lm, samples, views)
    for number in range(3):
        [own] = target_logprobs(lm, [samples[number]], [views[number]])
        for ours, theirs in zip(own, together[number], strict=True):
            torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)
