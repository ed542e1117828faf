"""Sampling against numpy oracles in float64, and its promises under hostile logits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.sampling import Candidates, Sampler, draw, log_probs, processed_logits

INF = float("inf")
TOLERANCE = 1e-5
"""fp32 rounding of logits up to 24."""


@st.composite
def cases(draw_: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, DecodingConfig]:
    """Rows of logits with ties, allowed ids (at least one), and settings."""
    vocabulary = draw_(st.integers(1, 9))
    eighths = st.integers(-64, 64).map(lambda number: number / 8)
    logits = draw_(st.lists(st.lists(eighths, min_size=vocabulary, max_size=vocabulary), min_size=1, max_size=3))
    allowed = draw_(st.lists(st.booleans(), min_size=vocabulary, max_size=vocabulary).filter(any))
    config = DecodingConfig(temperature=draw_(st.sampled_from([0.0, 0.3, 1.0, 1.7])),
                            top_k=draw_(st.integers(0, vocabulary)),
                            top_p=draw_(st.sampled_from([0.05, 0.4, 0.77, 0.95, 1.0])))
    return torch.tensor(logits), torch.tensor(allowed), config


def propose(logits: torch.Tensor, allowed: torch.Tensor, config: DecodingConfig, score: str = "confidence",
            uniforms: torch.Tensor | None = None, **rule: object) -> Candidates:
    order = torch.full(logits.shape[:-1], 0.5, dtype=torch.float64)
    return Sampler(config, allowed, score, **rule).propose(logits, uniforms, order)


def softmax(row: np.ndarray) -> np.ndarray:
    mass = np.exp(row - row.max())
    return mass / mass.sum()


def largest(row: np.ndarray, config: DecodingConfig) -> np.ndarray:
    return np.where(row >= sorted(row, reverse=True)[config.top_k - 1], row, -INF) if config.top_k else row


def oracle(row: np.ndarray, allowed: np.ndarray, config: DecodingConfig, top_p_first: bool = False) -> np.ndarray:
    """Processed probabilities of one row, token by token as SPEC 1.3 (or 1.4) says it."""
    row = np.where(allowed, row, -INF)
    if config.temperature:
        row = row / config.temperature
    row = nucleus(row, config) if top_p_first else largest(row, config)
    return softmax(largest(row, config) if top_p_first else nucleus(row, config))


def nucleus(row: np.ndarray, config: DecodingConfig) -> np.ndarray:
    mass, before, kept = softmax(row), 0.0, np.full_like(row, -INF)
    for token in sorted(range(len(row)), key=lambda token: (-row[token], token)):
        if before <= config.top_p:
            kept[token] = row[token]
        before += mass[token]
    return kept


@pytest.mark.parametrize("top_p_first", [False, True])
@given(case=cases())
def test_processed_distribution_equals_the_oracle(top_p_first: bool, case: tuple) -> None:
    logits, allowed, config = case
    found = processed_logits(logits, allowed, config, top_p_first).softmax(-1).numpy()
    for row, expected in zip(found, logits.double().numpy(), strict=True):
        np.testing.assert_allclose(row, oracle(expected, allowed.numpy(), config, top_p_first), atol=TOLERANCE)


@given(case=cases())
def test_scores_and_log_probs_equal_the_oracle(case: tuple) -> None:
    logits, allowed, config = case
    for score, of in (("confidence", lambda mass, token: mass[token]),
                      ("neg_entropy", lambda mass, token: sum(p * np.log(p) for p in mass if p > 0)),
                      ("position", lambda mass, token: 0.0)):
        found = propose(logits, allowed, config, score)
        for place, row in enumerate(logits.double().numpy()):
            mass, token = oracle(row, allowed.numpy(), config), int(found.ids[place])
            assert token == int(np.flatnonzero(np.isclose(mass, mass.max(), rtol=1e-12))[0])
            assert float(found.logprobs[place]) == pytest.approx(np.log(mass[token]), abs=TOLERANCE)
            assert float(found.raw_logprobs[place]) == pytest.approx(np.log(softmax(row)[token]), abs=TOLERANCE)
            assert float(found.scores[place]) == pytest.approx(of(mass, token), abs=TOLERANCE)


@given(case=cases(), u=st.floats(0, 1, exclude_max=True))
def test_draws_are_the_inverse_cdf_and_never_impossible(case: tuple, u: float) -> None:
    logits, allowed, config = case
    processed = processed_logits(logits, allowed, config)
    ids = draw(processed, torch.full((len(logits),), u, dtype=torch.float64))
    assert bool(allowed[ids].all())
    for row, token in zip(processed.double().numpy(), ids.tolist(), strict=True):
        mass = softmax(row)
        assert mass[token] > 0
        assert mass[:token].sum() <= u + 1e-12
        assert u < mass[:token + 1].sum() + 1e-12


@pytest.mark.parametrize(("u", "token"), [(0.0, 1), (0.249, 1), (0.25, 3), (0.999, 3), (1 - 2**-53, 3)])
def test_hand_made_draws(u: float, token: int) -> None:
    logits = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0]).log()
    assert int(draw(logits, torch.tensor(u, dtype=torch.float64))) == token


def test_draws_have_the_right_frequencies() -> None:
    mass = torch.tensor([0.1, 0.0, 0.6, 0.3])
    numbers = (torch.arange(10000, dtype=torch.float64) + 0.5) / 10000
    ids = draw(mass.log().expand(10000, 4), numbers)
    assert torch.bincount(ids, minlength=4).tolist() == [1000, 0, 6000, 3000]


@pytest.mark.cuda
def test_a_parallel_scan_draws_nothing_impossible() -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    logits = torch.randn(64, 151936, device="cuda", generator=generator) * 4
    logits[:, ::2] = -INF
    for _ in range(20):
        numbers = torch.rand(64, device="cuda", dtype=torch.float64, generator=generator)
        assert bool((draw(logits, numbers) % 2 == 1).all())


def test_argmax_takes_the_smallest_of_equal_ids() -> None:
    config = DecodingConfig(temperature=0)
    logits = torch.tensor([[1.0, 5.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    allowed = torch.tensor([True, True, True, False])
    assert draw(processed_logits(logits, allowed, config), None).tolist() == [1, 0]


def test_top_k_keeps_ties_and_precedes_top_p() -> None:
    everything = torch.ones(4, dtype=torch.bool)
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    tied = processed_logits(torch.tensor([2.0, 1.0, 1.0, 0.0]), everything, DecodingConfig(top_k=2))
    assert tied.isfinite().tolist() == [True, True, True, False]
    # After top-k 2 the mass before the second token is 4/7 > 0.5; of all four it would be 0.4.
    both = processed_logits(logits, everything, DecodingConfig(top_k=2, top_p=0.5))
    assert both.isfinite().tolist() == [True, False, False, False]


def test_top_p_drops_only_what_exceeds_it() -> None:
    logits, everything = torch.zeros(4), torch.ones(4, dtype=torch.bool)
    kept = [int(processed_logits(logits, everything, DecodingConfig(top_p=p)).isfinite().sum())
            for p in (0.1, 0.25, 0.3, 0.5, 0.75)]
    assert kept == [1, 2, 2, 3, 4]


@pytest.mark.parametrize("huge", [1e4, 1e30, 3e38])
def test_forbidden_ids_change_nothing_however_large_their_logits(huge: float) -> None:
    config = DecodingConfig(temperature=0.7, top_k=3, top_p=0.9)
    logits, allowed = torch.tensor([1.0, 2.0, 0.5, 0.0, 0.0]), torch.tensor([True, True, True, True, False])
    loud = logits.clone()
    loud[4] = huge
    assert torch.equal(processed_logits(loud, allowed, config), processed_logits(logits, allowed, config))


@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 1e3])
def test_extreme_temperatures_give_numbers(temperature: float) -> None:
    config = DecodingConfig(temperature=temperature)
    logits = torch.tensor([300.0, -300.0, 299.0])
    found = propose(logits, torch.ones(3, dtype=torch.bool), config, "neg_entropy",
                    torch.tensor(0.5, dtype=torch.float64))
    assert not any(bool(part.isnan()) for part in (found.scores, found.logprobs, found.raw_logprobs))
    assert temperature > 1 or int(found.ids) == 0


def test_bfloat16_logits_are_processed_in_float32() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16)
    found = processed_logits(logits, torch.ones(3, dtype=torch.bool), DecodingConfig(temperature=0.9))
    assert found.dtype == torch.float32


def test_gradients_are_those_of_the_softmax_over_what_stays() -> None:
    config = DecodingConfig(temperature=0.5, top_k=3, top_p=0.95)
    logits = torch.tensor([2.0, 1.5, 1.0, 0.5, 9.0], requires_grad=True)
    allowed = torch.tensor([True, True, True, True, False])
    log_probs(processed_logits(logits, allowed, config), torch.tensor(1)).backward()
    mass = oracle(logits.detach().double().numpy(), allowed.numpy(), config)
    expected = (np.eye(5)[1] - mass) / 0.5
    np.testing.assert_allclose(logits.grad.numpy(), np.where(mass > 0, expected, 0), atol=1e-6)


def test_nan_logits_are_nan_in_every_log_prob() -> None:
    logits = torch.tensor([[1.0, 2.0, float("nan")], [1.0, 2.0, 3.0]])
    allowed = torch.tensor([True, True, False])
    found = propose(logits, allowed, DecodingConfig(), "confidence", torch.full((2,), 0.5, dtype=torch.float64))
    assert found.raw_logprobs.isnan().tolist() == [True, False]


def test_top_k_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"top_k 6 is larger than the vocabulary of 5 ids; use 0"):
        processed_logits(torch.zeros(5), torch.ones(5, dtype=torch.bool), DecodingConfig(top_k=6))


@given(case=cases())
def test_scores_come_from_the_softmax_that_is_named(case: tuple) -> None:
    logits, allowed, config = case
    plain = DecodingConfig(temperature=config.temperature)
    for of, expected in (("processed", lambda row: oracle(row, allowed.numpy(), config)), ("raw", softmax),
                         ("temperature", lambda row: oracle(row, allowed.numpy(), plain))):
        found = propose(logits, allowed, config, score_of=of)
        for place, row in enumerate(logits.double().numpy()):
            assert float(found.scores[place]) == pytest.approx(expected(row)[int(found.ids[place])], abs=TOLERANCE)


def test_pads_are_lowered_whatever_the_sign_of_scores() -> None:
    logits, allowed = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.ones(2, dtype=torch.bool)
    for score, factor in (("confidence", 1 / 3), ("neg_entropy", 3.0)):
        plain = propose(logits, allowed, DecodingConfig(), score, pad_token_id=0).scores
        lowered = propose(logits, allowed, DecodingConfig(pad_target_penalty=3.0), score, pad_token_id=0).scores
        assert lowered.tolist() == pytest.approx([float(plain[0]) * factor, float(plain[1])])
        assert lowered[0] < plain[0]
        unknown = propose(logits, allowed, DecodingConfig(pad_target_penalty=3.0), score).scores
        assert torch.equal(unknown, plain)


def test_the_order_temperature_draws_in_proportion() -> None:
    """Of two positions with confidences .88 and .5 at temperature .5, the first leads with p = 1 / (1 + e^-(.38/.5))."""
    count = 20_000
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).expand(count, 2, 2)
    order = torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sampler = Sampler(DecodingConfig(alg_temp=0.5), torch.ones(2, dtype=torch.bool), "confidence")
    scores = sampler.propose(logits, None, order).scores
    expected = 1 / (1 + np.exp((0.5 - 1 / (1 + np.exp(-2.0))) / 0.5))
    share = float((scores[:, 0] > scores[:, 1]).double().mean())
    assert abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5
    assert sampler.propose(logits[:1], None, torch.zeros(1, 2, dtype=torch.float64)).scores.isfinite().all()


def test_a_random_order_has_numbers_of_its_own() -> None:
    logits, uniforms = torch.zeros(3, 2), torch.tensor([0.9, 0.1, 0.4], dtype=torch.float64)
    order = torch.tensor([0.125, 0.5, 0.25], dtype=torch.float64)
    sampler = Sampler(DecodingConfig(), torch.ones(2, dtype=torch.bool), "random")
    for candidates in (uniforms, None):
        assert sampler.propose(logits, candidates, order).scores.tolist() == [0.125, 0.5, 0.25]
    assert sampler.propose(logits, uniforms, order).ids.tolist() == [1, 0, 0]
