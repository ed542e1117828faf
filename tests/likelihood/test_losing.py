"""The log-mass of losing: the vectors of METHODS 2.6, what bounds it, and whole actions against their definition."""

import math
from pathlib import Path

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding import generate
from dllm_rl.decoding.replay import recorded_sampler
from dllm_rl.decoding.sampling import Sampler, processed_logits
from dllm_rl.decoding.strategies import below_worst
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import target_logprobs
from dllm_rl.likelihood.losing import log_losing_mass, step_cutoffs
from dllm_rl.records import Rollout, Sample, View
from dllm_rl.registry import STRATEGIES
from dllm_rl.views import build_views

P1, P2 = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.5, 0.4, 0.1])
PLAIN = Sampler(DecodingConfig(), torch.ones(3, dtype=torch.bool), "confidence")


@pytest.fixture(scope="module")
def lm(reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / "sdar" / "ckpt")


def mass(probabilities: torch.Tensor, cutoff: float) -> float:
    return float(log_losing_mass(probabilities.log()[None], torch.tensor([cutoff]), PLAIN))


def test_top_1_vectors() -> None:
    assert math.log(0.6) + mass(P2, 0.6) == pytest.approx(-0.510826, abs=1e-6)
    second = math.log(0.5) + mass(P1, 0.5)
    assert second == pytest.approx(-1.609438, abs=1e-6)
    assert second + math.log(0.8) == pytest.approx(-1.832581, abs=1e-6)       # the trajectory 2, 1 with p(y1 | y2) = .8


def test_dynamic_vectors() -> None:
    # Threshold .45: a rival below it lost to a position above it.
    assert math.log(0.6) + math.log(0.5) == pytest.approx(-1.203973, abs=1e-6)
    assert math.log(0.6) + mass(P2, 0.45) == pytest.approx(-1.203973, abs=1e-6)


def test_actions_and_ties_sum_to_1() -> None:
    """Top-1: the left of equal scores goes first, so that no mass is left over."""
    total = 0.0
    for place, (own, other) in enumerate([(P1, P2), (P2, P1)]):
        for token in range(3):
            scores = torch.zeros(1, 2)
            scores[0, place] = own[token]
            cutoffs = below_worst(scores, torch.arange(2)[None] == place)
            lost = other[other < cutoffs[0, 1 - place]].sum()
            total += float(own[token] * lost)
    assert total == pytest.approx(1, abs=1e-6)
    strict = sum(float(own[token] * other[other < own[token]].sum()) for own, other in [(P1, P2), (P2, P1)]
                 for token in range(3))
    assert 1 - strict == pytest.approx(0.01, abs=1e-6)


def test_a_rival_lost_whatever_rounding_says() -> None:
    assert mass(P1, 0.05) == pytest.approx(math.log(0.1), abs=1e-6)
    assert mass(P1, math.inf) == pytest.approx(0, abs=1e-6)


def test_drawing_and_ranking_may_differ() -> None:
    config = DecodingConfig(temperature=0.5, top_k=2)
    sampler = Sampler(config, torch.ones(3, dtype=torch.bool), "confidence", "raw")
    # Drawn from .36 : .09 without the third id, ranked by .6 and .3.
    found = log_losing_mass(P1.log()[None], torch.tensor([0.5]), sampler)
    assert float(found) == pytest.approx(math.log(0.09 / 0.45), abs=1e-5)


def test_gradients_are_those_of_the_mass() -> None:
    logits = P1.log()[None].requires_grad_()
    log_losing_mass(logits, torch.tensor([0.5]), PLAIN).sum().backward()
    lost = torch.tensor([0.0, 0.75, 0.25])
    assert logits.grad[0].tolist() == pytest.approx((lost - P1).tolist(), abs=1e-6)


@pytest.mark.parametrize("score", ["confidence", "neg_entropy", "margin_confidence"])
@pytest.mark.parametrize("score_of", ["processed", "temperature", "raw"])
def test_the_table_holds_the_scores_of_candidates(score: str, score_of: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, allowed = torch.randn(4, 6, generator=generator), torch.tensor([1, 1, 1, 1, 1, 0]).bool()
    sampler = Sampler(DecodingConfig(temperature=0.7, top_p=0.9, pad_target_penalty=2), allowed, score, score_of,
                      pad_token_id=0)
    uniforms = torch.rand(4, generator=generator, dtype=torch.float64)
    found = sampler.propose(logits, uniforms, uniforms)
    assert torch.equal(sampler.score_table(logits).gather(-1, found.ids[:, None])[:, 0], found.scores)


def hand_made_action(lm: LanguageModel, rollout: Rollout, view: View) -> float:
    """The log-probability of a view's actions by definition, one block at a time, from logits of the whole row."""
    settings = rollout.decoding
    sampler = recorded_sampler(lm, settings)
    ids = torch.tensor(rollout.prompt_ids + rollout.response_ids + rollout.tail_ids)
    total = 0.0
    for block in (view.target.nonzero()[:, 0] // rollout.block_size).unique().tolist():
        begin, end = block * rollout.block_size, (block + 1) * rollout.block_size
        row = torch.cat([ids[:begin], torch.where(view.masked, lm.mask_token_id, ids)[begin:end]])
        logits = lm.logits(row[None])[0].detach()
        log_q = processed_logits(logits, lm.allowed_ids, settings).log_softmax(-1)
        table = sampler.score_table(logits)
        inside = [place for place in view.target.nonzero()[:, 0].tolist() if begin <= place < end]
        revealed = [place for place in inside if view.rival is None or not view.rival[place]]
        worst = min(revealed, key=lambda place: (table[place, ids[place]], -place))
        passed = all(table[place, ids[place]] > settings.dynamic_threshold for place in revealed)
        total += sum(float(log_q[place, ids[place]]) for place in revealed)
        for place in set(inside) - set(revealed):
            loses = table[place] <= settings.dynamic_threshold if passed else (
                table[place] <= table[worst, ids[worst]] if place > worst else table[place] < table[worst, ids[worst]])
            total += float(log_q[place].exp()[loses].sum().log())
    return total


@pytest.mark.parametrize("options", [{}, {"temperature": 1.5, "top_k": 30}, {"top_p": 0.8, "score_of": "raw"},
                                     {"temperature": 0.8, "score_of": "temperature"}])
def test_a_view_is_the_log_probability_of_its_actions(lm: LanguageModel, options: dict) -> None:
    config = DecodingConfig(dynamic_threshold=0.3, max_gen_length=11, **options)
    rollouts = [own for group in generate(lm, [[3, 4, 5], [7] * 6], config, num_samples=2) for own in group]
    views = build_views("trace_action", rollouts)
    values = target_logprobs(lm, rollouts, views, distribution="decoding", max_tokens=64)
    num_rivals = 0
    for rollout, own, found in zip(rollouts, views, values, strict=True):
        for view, value in zip(own, found, strict=True):
            num_rivals += 0 if view.rival is None else int(view.rival.sum())
            assert float(value.detach().sum()) == pytest.approx(hand_made_action(lm, rollout, view), abs=2e-4)
    assert num_rivals > 10


def test_packs_and_company_change_nothing(lm: LanguageModel) -> None:
    rollouts = [own for options in ({}, {"temperature": 2.0}) for group in generate(
        lm, [[3, 4], [5, 6, 7]], DecodingConfig(max_gen_length=9, dynamic_threshold=0.3, **options)) for own in group]
    views = build_views("trace_action", rollouts)
    together = target_logprobs(lm, rollouts, views)
    for number, rollout in enumerate(rollouts):
        [alone] = target_logprobs(lm, [rollout], [views[number]], max_tokens=40)
        for ours, theirs in zip(alone, together[number], strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_a_given_cutoff_needs_no_settings(lm: LanguageModel) -> None:
    sample, mask = Sample([1, 2, 3, 4], [5, 6]), torch.tensor([0, 0, 0, 0, 1, 1]).bool()
    rival = torch.tensor([0, 0, 0, 0, 0, 1]).bool()
    view = View.of_targets(mask, mask, rival=rival, cutoff=0.01)
    [[found]] = target_logprobs(lm, [sample], [[view]])
    row = torch.tensor([[1, 2, 3, 4, lm.mask_token_id, lm.mask_token_id]])
    p = lm.logits(row)[0].detach().softmax(-1)
    assert found.tolist() == pytest.approx([float(p[4, 5].log()), float(p[5][p[5] < 0.01].sum().log())], abs=1e-4)
    with pytest.raises(ValueError, match="a rival has no cutoff and its sample no recorded decoding settings"):
        target_logprobs(lm, [sample], [[View.of_targets(mask, mask, rival=rival)]])


def test_stale_states_are_refused(lm: LanguageModel) -> None:
    decoding = RecordedDecoding(sampler_class="drawn", replay_class="history")
    rollout = Rollout([1, 2, 3, 4], [5, 6], [1, 2], block_size=4, decoding=decoding)
    with pytest.raises(ValueError, match="sample 0 was decoded with stale or fused states"):
        target_logprobs(lm, [rollout], build_views("trace_action", [rollout]))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if STRATEGIES.load(name).sampler_class == "drawn"])
def test_every_drawn_strategy_has_cutoffs_or_says_what_has(lm: LanguageModel, name: str) -> None:
    settings = RecordedDecoding(sampler_class="drawn", replay_class="selection", remasking_strategy=name)
    states, rival = torch.zeros(2, lm.backbone.config.hidden_size), torch.tensor([False, True])
    arguments = lm, states, torch.tensor([1, 2]), rival, torch.zeros(2, dtype=torch.long), settings
    if name in ("low_confidence_static", "low_confidence_dynamic", "threshold_factor"):
        assert bool(step_cutoffs(*arguments)[1].isfinite())
    else:
        with pytest.raises(ValueError, match=f"'{name}' has no losing event of a single candidate; use low_confidence"):
            step_cutoffs(*arguments)
