"""The engine's rollouts are the readable decoder's, whatever is in flight beside them."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding import Request, generate
from dllm_rl.decoding.block_decoder import BlockDecoder
from dllm_rl.engine import Engine
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.records import Rollout
from dllm_rl.registry import STRATEGIES

TOLERANCE = 2e-5
NAMES = [name for name in STRATEGIES if not STRATEGIES.load(name).adapts_blocks]
STOPS = list(range(0, 500, 40))


@pytest.fixture(scope="module", params=["sdar", "sdar_moe"])
def lm(request: pytest.FixtureRequest, reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / request.param / "ckpt", mask_token_id=500, block_size=4)


def assert_equal(one: Rollout, two: Rollout) -> None:
    for item in fields(Rollout):
        ours, theirs = vars(one)[item.name], vars(two)[item.name]
        if item.name.endswith("logprobs"):
            torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), atol=TOLERANCE, rtol=0)
        else:
            assert ours == theirs, item.name


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_gives_the_same_rollouts(name: str, temperature: float, lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=11, temperature=temperature, remasking_strategy=name, dynamic_threshold=0.3,
                            stop_token_list=STOPS, top_k=40)
    prompts = [[7, 8, 9], [11, 12, 13, 14, 15, 16, 17, 18], [21], [7, 8, 9, 10, 30]]
    expected = generate(lm, prompts, config, num_samples=2)
    found = Engine(lm, EngineConfig(max_num_seqs=3, max_prefill_tokens=4)).generate(prompts, config, num_samples=2)
    for ours, theirs in zip(found, expected, strict=True):
        for one, two in zip(ours, theirs, strict=True):
            assert_equal(one, two)


REQUESTS = st.lists(st.builds(
    Request, prompt_ids=st.lists(st.integers(0, 30), min_size=1, max_size=13), max_new=st.integers(1, 14),
    stop_ids=st.sampled_from([frozenset(STOPS), frozenset(), frozenset(range(100, 400, 30))]),
    seed=st.integers(0, 2**40)), min_size=1, max_size=9)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS, num_slots=st.integers(1, 6), chunk=st.integers(1, 9), steps=st.integers(1, 4))
def test_any_order_and_company(requests: list[Request], num_slots: int, chunk: int, steps: int, lm: LanguageModel) -> None:
    """Unequal prompts and lengths, any number of slots, prompts that share beginnings, prefill in pieces."""
    config = DecodingConfig(dynamic_threshold=0.2, denoising_steps_per_block=steps, top_p=0.95)
    expected = BlockDecoder(lm, config.model_copy(update={"decoder": "block"})).decode(requests)
    engine = Engine(lm, EngineConfig(max_num_seqs=num_slots, max_prefill_tokens=chunk))
    found = dict(engine.stream(requests, config))
    assert sorted(found) == list(range(len(requests)))
    for number, rollout in found.items():
        assert_equal(rollout, expected[number])


def test_samples_of_a_prompt_share_its_prefill(lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=4, ignore_eos=True, remasking_strategy="sequential")
    one, many = Engine(lm), Engine(lm)
    prompt = list(range(1, 42))                # 40 tokens in full blocks
    one.generate([prompt], config)
    many.generate([prompt], config, num_samples=8)
    denoised = one.forwarded_tokens - 40
    assert many.forwarded_tokens == 40 + 8 * denoised


def test_a_common_beginning_is_read_once(lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=4, ignore_eos=True)
    apart, together = Engine(lm), Engine(lm)
    prompts = [[*range(1, 21), 50, 51, 52, 53], [*range(1, 21), 60, 61, 62, 63]]
    for prompt in prompts:
        apart.generate([prompt], config)
    together.generate(prompts, config)
    assert apart.forwarded_tokens - together.forwarded_tokens == 20


def test_finished_blocks_cost_no_pass_of_their_own(lm: LanguageModel) -> None:
    """Three blocks of one step each: three forwards, the second and third with the block before them."""
    passes = []
    hook = lm.backbone.get_decoder().register_forward_hook(
        lambda module, given, options, result: passes.append(options["input_ids"].shape[1]), with_kwargs=True)
    try:
        Engine(lm).generate([[1, 2, 3, 4]], DecodingConfig(
            max_gen_length=12, ignore_eos=True, denoising_steps_per_block=1, remasking_strategy="sequential"))
    finally:
        hook.remove()
    assert passes == [4, 4, 8, 8]


def test_new_weights_are_noted_and_used(reference_dir: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    engine, config = Engine(lm), DecodingConfig(max_gen_length=8, ignore_eos=True, temperature=0.0)
    requests = [Request([1, 2, 3, 4], 4, greedy=True), Request([1, 2, 3, 4], 12, greedy=True)]
    flying = engine.stream(requests, config)
    number, first = next(flying)
    assert (number, first.weight_versions) == (0, [0])
    state = {name: tensor * 1.1 for name, tensor in lm.backbone.state_dict().items() if "lm_head" in name}
    engine.load_weights(state.items(), version=5)
    [(number, second)] = flying
    assert (number, second.weight_versions) == (1, [0, 5, 5])
    assert second.response_ids[:4] == first.response_ids
    assert engine.version == 5


def test_what_the_fast_loop_does_not_know_goes_through_the_readable_one(lm: LanguageModel, reference_dir: Path) -> None:
    dream = load_model(reference_dir / "dream" / "ckpt")
    config = DecodingConfig(max_gen_length=8, block_size=4)
    assert not Engine(dream).is_fast(config) and Engine(lm).is_fast(config)
    prompts = [[1, 2], [3]]
    for ours, theirs in zip(Engine(dream).generate(prompts, config), generate(dream, prompts, config), strict=True):
        assert_equal(ours[0], theirs[0])
    assert Engine(lm).generate([], DecodingConfig()) == []
    with pytest.raises(ValueError, match="empty prompt"):
        Engine(lm).generate([[]], DecodingConfig())


def test_who_takes_a_rollout_finds_gradients_and_the_mode_untouched(reference_dir: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    lm.backbone.train()
    flying = Engine(lm).stream([Request([1, 2], 2), Request([3], 14)], DecodingConfig(ignore_eos=True))
    next(flying)
    assert torch.is_grad_enabled() and lm.backbone.training
    list(flying)


def test_damaged_weights_are_an_error(reference_dir: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    with torch.no_grad():
        lm.backbone.get_output_embeddings().weight[3] = float("nan")
    with pytest.raises(FloatingPointError, match="logits are NaN or infinite"):
        Engine(lm).generate([[1, 2]], DecodingConfig(max_gen_length=4))
