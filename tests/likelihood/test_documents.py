"""Views of full-attention models: replay of canvas rollouts, and packs against one row per view."""

from pathlib import Path

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import build_packs, target_logprobs
from dllm_rl.records import Rollout, Sample
from dllm_rl.views import build_views

PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8]]


@pytest.fixture(scope="module", params=["dream", "llada"])
def lm(request: pytest.FixtureRequest, reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / request.param / "ckpt")


def rollouts(lm: LanguageModel, **settings: object) -> list[Rollout]:
    config = DecodingConfig(**{"max_gen_length": 12, "block_size": 4, "temperature": 0.9, "top_p": 0.9, "top_k": 50,
                               "dynamic_threshold": 0.2, **settings})
    return [rollout for group in generate(lm, PROMPTS, config, num_samples=3) for rollout in group]


@pytest.mark.parametrize("settings", [
    {}, {"remasking_strategy": "low_confidence_static"}, {"temperature": 0.0},
    {"stop_token_list": list(range(0, 500, 3))}, {"decoder": "dream", "block_size": None},
    {"decoder": "dream_parallel", "remasking_strategy": "low_confidence_static", "block_size": None},
    {"decoder": "dream_rl"}, {"decoder": "llada_rl"},
])
@pytest.mark.parametrize(("distribution", "name"), [("raw", "raw_logprobs"), ("decoding", "logprobs")])
def test_trace_views_replay_what_the_canvas_decoder_recorded(
        lm: LanguageModel, settings: dict, distribution: str, name: str) -> None:
    """Early stops too: what was never revealed stood there as masks, and stays masked in every view."""
    made = rollouts(lm, **settings)
    views = build_views("trace", made, block_size="full")
    for rollout, own, found in zip(made, views, target_logprobs(lm, made, views, distribution, 60), strict=True):
        replayed = torch.full((len(rollout.response_ids),), float("nan"))
        for view, values in zip(own, found, strict=True):
            replayed[view.target.nonzero()[:, 0] - len(rollout.prompt_ids)] = values.detach()
        torch.testing.assert_close(replayed, torch.tensor(vars(rollout)[name]), atol=2e-5, rtol=0)
    if "stop_token_list" in settings:
        assert any(0 in rollout.tail_steps and lm.mask_token_id in rollout.tail_ids for rollout in made)


@pytest.mark.parametrize("views", ["trace", "random", "coupled", "semi_ar", "block", "mean_field", "three_pass",
                                   "scheduled"])
def test_a_pack_equals_one_row_per_view(lm: LanguageModel, views: str) -> None:
    """Plain rows through ``lm.logits``, which shifts by itself; log-probabilities and gradients."""
    samples = [Sample([1, 2, 3], [10, 11, 12, 13, 14], [2, 1, 1, 3, 2]), Sample([4, 5], [20, 21, 22], [1, 1, 2])]
    built = build_views(views, samples, seed=1, block_size="full")
    lm.backbone.zero_grad()
    packed = [value for own in target_logprobs(lm, samples, built) for value in own]
    torch.cat(packed).sum().backward()
    gradients = [own.grad.clone() for own in lm.backbone.parameters()]
    lm.backbone.zero_grad()
    rows = []
    for sample, own in zip(samples, built, strict=True):
        ids = torch.tensor([*sample.prompt_ids, *sample.response_ids])
        for view in own:
            logits = lm.logits(torch.where(view.masked, lm.mask_token_id, ids)[None])[0].log_softmax(-1)
            rows.append(logits[range(len(ids)), ids][view.target])
    torch.cat(rows).sum().backward()
    torch.testing.assert_close(torch.cat(packed), torch.cat(rows), atol=2e-5, rtol=0)
    for ours, theirs in zip(gradients, (own.grad for own in lm.backbone.parameters()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()) + 1e-8, rtol=1e-4)
    lm.backbone.zero_grad()


def test_a_target_that_nothing_precedes_is_named() -> None:
    sample = Sample([], [10, 11])
    views = build_views("trace", [sample], block_size="full")
    build_packs([sample], views, 99)
    with pytest.raises(ValueError, match="first token of a sample is a target, but this family predicts a token 1 before"):
        build_packs([sample], views, 99, shift=1)


def test_stale_states_are_not_replayed(lm: LanguageModel) -> None:
    made = rollouts(lm, cache="prefix")
    views = build_views("trace", made, block_size="full")
    with pytest.raises(ValueError, match="decoded with stale or fused states .*'history'"):
        target_logprobs(lm, made, views, "decoding")
    assert len(target_logprobs(lm, made, views, "raw")) == len(made)


def test_views_of_one_length_are_the_rows_of_a_pack(lm: LanguageModel) -> None:
    samples = [Sample([1] * length, [2, 3, 4], [1, 2, 3]) for length in (5, 2, 5, 2, 2)]
    views = build_views("trace", samples, block_size="full")
    packs, targets = build_packs(samples, views, lm.mask_token_id, max_tokens=48, shift=lm.family.logit_shift)
    assert [(pack.view_length, len(pack.ids)) for pack in packs] == [(5, 45), (8, 48)]
    assert sorted(torch.cat([pack.targets for pack in packs]).tolist()) == list(range(len(targets.labels)))
    found = target_logprobs(lm, samples, views, max_tokens=48)
    for sample, own, ours in zip(samples, views, found, strict=True):
        [alone] = target_logprobs(lm, [sample], [own])
        torch.testing.assert_close(torch.cat(ours), torch.cat(alone), atol=1e-5, rtol=0)


def test_views_that_hang_off_a_clean_copy_are_no_rows(reference_dir: Path) -> None:
    block = load_model(reference_dir / "sdar" / "ckpt")
    samples = [Sample([1] * length, [2, 3, 4], [1, 2, 3]) for length in (5, 1)]     # the second lies in one block
    packs, _ = build_packs(samples, build_views("trace", samples, block_size=4), block.mask_token_id, 4)
    assert [pack.view_length for pack in packs] == [None, 4]
