"""The engine's rollouts are the readable decoder's, whatever is in flight beside them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding import Request, generate
from dllm_rl.decoding.block_decoder import BlockDecoder
from dllm_rl.decoding.canvas_decoder import CanvasDecoder
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import LowConfidenceStatic
from dllm_rl.engine import BlockDone, Ended, Engine, Event, Failed, Unmasked
from dllm_rl.engine.events import Watch
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import target_logprobs
from dllm_rl.records import Rollout
from dllm_rl.registry import STRATEGIES
from dllm_rl.views import build_views

TOLERANCE = 2e-5
BLOCK = [name for name in STRATEGIES if not STRATEGIES.load(name).adapts_blocks]
STOPS = list(range(0, 500, 40))
CACHES: list[dict[str, Any]] = [{}, {"cache": "prefix"}, {"cache": "prefix", "further_horizon": 3}, {"cache": "dual"}]


@pytest.fixture(scope="module", params=["sdar", "sdar_moe"])
def lm(request: pytest.FixtureRequest, reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / request.param / "ckpt", mask_token_id=500, block_size=4)


@pytest.fixture(scope="module", params=["dream", "llada"])
def full(request: pytest.FixtureRequest, reference_dir: Path) -> LanguageModel:
    return load_model(reference_dir / request.param / "ckpt")


def assert_equal(one: Rollout, two: Rollout) -> None:
    for item in fields(Rollout):
        ours, theirs = vars(one)[item.name], vars(two)[item.name]
        if item.name.endswith("logprobs"):
            torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), atol=TOLERANCE, rtol=0)
        else:
            assert ours == theirs, item.name


def assert_all_equal(found: list[list[Rollout]], expected: list[list[Rollout]]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        for one, two in zip(ours, theirs, strict=True):
            assert_equal(one, two)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", BLOCK)
def test_every_strategy_gives_the_same_rollouts(name: str, temperature: float, lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=11, temperature=temperature, remasking_strategy=name, dynamic_threshold=0.3,
                            stop_token_list=STOPS, top_k=40, record_discards=True)
    prompts = [[7, 8, 9], [11, 12, 13, 14, 15, 16, 17, 18], [21], [7, 8, 9, 10, 30]]
    expected = generate(lm, prompts, config, num_samples=2)
    engine = Engine(lm, EngineConfig(max_num_seqs=3, max_prefill_tokens=4))
    assert engine.is_fast(config)
    assert_all_equal(engine.generate(prompts, config, num_samples=2), expected)


@pytest.mark.parametrize("cache", CACHES, ids=lambda own: "-".join(map(str, own.values())) or "none")
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", [*STRATEGIES])
def test_every_strategy_gives_the_same_canvases(name: str, temperature: float, cache: dict[str, Any],
                                                full: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=12, block_size=4, steps=7, temperature=temperature, remasking_strategy=name,
                            dynamic_threshold=0.3, stop_token_list=STOPS, top_k=40, block_delimiters=[3],
                            record_discards=True, **cache)
    prompts = [[7, 8, 9], [11, 12, 13, 14, 15, 16, 17, 18], [21], [7, 8, 9, 10, 30]]
    engine = Engine(full, EngineConfig(max_num_seqs=3))
    assert engine.is_fast(config) == (name != "adablock")
    assert_all_equal(engine.generate(prompts, config, num_samples=2), generate(full, prompts, config, num_samples=2))


def given_of(template: list[int | None], length: int) -> tuple[int | None, ...]:
    return tuple((template * length)[:length])


STOP_SETS = st.sampled_from([frozenset(STOPS), frozenset(), frozenset(range(100, 400, 30))])
FREE = st.builds(Request, prompt_ids=st.lists(st.integers(0, 30), min_size=1, max_size=13), max_new=st.integers(1, 14),
                 stop_ids=STOP_SETS, seed=st.integers(0, 2**40), greedy=st.booleans())
TEMPLATED = st.builds(
    lambda prompt, template, length, seed: Request(prompt, length, seed=seed, given=given_of(template, length)),
    st.lists(st.integers(0, 30), min_size=1, max_size=7), st.lists(st.none() | st.integers(0, 30), min_size=1, max_size=9),
    st.integers(1, 14), st.integers(0, 2**40))
REQUESTS = st.lists(FREE | TEMPLATED, min_size=1, max_size=9)
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@EXAMPLES
@given(requests=REQUESTS, num_slots=st.integers(1, 6), chunk=st.integers(1, 9), steps=st.integers(1, 4),
       room=st.sampled_from([None, 32, 48, 64, 96]), padded=st.booleans())
def test_any_order_and_company(requests: list[Request], num_slots: int, chunk: int, steps: int, room: int | None,
                               padded: bool, lm: LanguageModel) -> None:
    """Unequal prompts and lengths, set tokens, greedy beside drawn, few slots, a cache too small for all."""
    config = DecodingConfig(dynamic_threshold=0.2, denoising_steps_per_block=steps, top_p=0.95)
    expected = BlockDecoder(lm, config.model_copy(update={"decoder": "block"})).decode(requests)
    engine = Engine(lm, EngineConfig(max_num_seqs=num_slots, max_prefill_tokens=chunk, max_cache_tokens=room,
                                     cuda_graphs=padded))
    found = dict(engine.stream(requests, config))
    assert sorted(found) == list(range(len(requests)))
    for number, rollout in found.items():
        assert_equal(rollout, expected[number])
    assert engine.is_idle and engine.stats().cached_tokens == 0


@EXAMPLES
@given(requests=REQUESTS, num_slots=st.integers(1, 6), room=st.sampled_from([None, 32, 64]), cache=st.sampled_from(CACHES))
def test_any_order_and_company_of_canvases(requests: list[Request], num_slots: int, room: int | None,
                                           cache: dict[str, Any], full: LanguageModel) -> None:
    config = DecodingConfig(dynamic_threshold=0.2, max_gen_length=16, block_size=4, top_p=0.95, **cache)
    expected = CanvasDecoder(full, config.model_copy(update={"decoder": "canvas"})).decode(requests)
    found = dict(Engine(full, EngineConfig(max_num_seqs=num_slots, max_cache_tokens=room)).stream(requests, config))
    for number, rollout in found.items():
        assert_equal(rollout, expected[number])
    assert sorted(found) == list(range(len(requests)))


@EXAMPLES
@given(requests=st.lists(FREE, min_size=2, max_size=8), names=st.lists(st.sampled_from(BLOCK), min_size=2, max_size=4),
       arrivals=st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_each_request_has_its_own_settings_and_time(requests: list[Request], names: list[str], arrivals: list[int],
                                                    lm: LanguageModel) -> None:
    """Requests of several strategies, temperatures and block sizes come while others are in flight."""
    configs = [DecodingConfig(remasking_strategy=name, temperature=1 + number, dynamic_threshold=0.2,
                              block_size=(4, 4, 8)[number % 3]) for number, name in enumerate(names)]
    engine = Engine(lm, EngineConfig(max_num_seqs=3))
    tickets, found = dict[int, int](), dict[int, Rollout]()
    for number, request in enumerate(requests):
        tickets[engine.submit(request, configs[number % len(configs)])] = number
        for _ in range(arrivals[number]):
            found |= {tickets[event.ticket]: event.rollout for event in engine.step() if isinstance(event, Ended)}
    while not engine.is_idle:
        found |= {tickets[event.ticket]: event.rollout for event in engine.step() if isinstance(event, Ended)}
    for number, request in enumerate(requests):
        [expected] = BlockDecoder(lm, configs[number % len(configs)].model_copy(update={"decoder": "block"})).decode(
            [request])
        assert_equal(found[number], expected)


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


def test_what_the_fast_lanes_do_not_know_goes_through_the_readable_loops(lm: LanguageModel, full: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=8, block_size=4, cfg_scale=0.5)
    engine = Engine(full)
    assert not engine.is_fast(config) and not engine.is_fast(DecodingConfig(decoder="llada"))
    prompts = [[1, 2], [3]]
    assert_all_equal(engine.generate(prompts, config), generate(full, prompts, config))
    assert engine.stats().generated_tokens == 16
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


def run_out(engine: Engine) -> list[Event]:
    events = list[Event]()
    while not engine.is_idle:
        events += engine.step()
    return events


@pytest.mark.parametrize("watch", ["blocks", "steps"])
@pytest.mark.parametrize("kind", ["sdar", "dream"])
def test_who_watches_sees_the_response_grow(kind: str, watch: Watch, reference_dir: Path) -> None:
    """Finished blocks add up to the response; what is shown of a block keeps what it has revealed."""
    lm = load_model(reference_dir / kind / "ckpt", block_size=4 if kind == "sdar" else None)
    config = DecodingConfig(max_gen_length=12, block_size=4, remasking_strategy="sequential", stop_token_list=STOPS)
    engine = Engine(lm)
    requests = [engine.submit(Request([1, 2, 3, 4, 5], 12, frozenset(STOPS), seed), config, watch) for seed in range(6)]
    silent = engine.submit(Request([1, 2], 12), config)
    events = run_out(engine)
    assert [type(event) for event in events if event.ticket == silent] == [Ended]
    for ticket in requests:
        *shown, last = [event for event in events if event.ticket == ticket]
        assert isinstance(last, Ended)
        blocks = [event for event in shown if isinstance(event, BlockDone)]
        rollout = last.rollout
        assert [token for event in blocks for token in event.ids] == rollout.response_ids
        assert [step for event in blocks for step in event.steps] == rollout.step_map
        assert [nats for event in blocks for nats in event.logprobs] == rollout.logprobs
        steps = [event for event in shown if isinstance(event, Unmasked)]
        assert bool(steps) == (watch == "steps")
        decoded = rollout.response_ids + rollout.tail_ids
        for event in steps:
            for place, token in enumerate(event.ids, event.start):
                assert token in (lm.mask_token_id, decoded[place])
            assert lm.mask_token_id in event.ids or len(event.ids) < 4


def test_a_cancelled_request_leaves_nothing(lm: LanguageModel) -> None:
    engine, config = Engine(lm, EngineConfig(max_num_seqs=2)), DecodingConfig(ignore_eos=True)
    tickets = [engine.submit(Request([number, 2, 3], 12, seed=number), config) for number in range(4)]
    alone = Engine(lm).generate([[1, 2, 3]], config.model_copy(update={"max_gen_length": 12}), seeds=[[1]])
    engine.step()
    for ticket in (tickets[0], tickets[3], 77):        # in flight, waiting, unknown
        engine.cancel(ticket)
    ended = {event.ticket: event.rollout for event in run_out(engine) if isinstance(event, Ended)}
    assert sorted(ended) == tickets[1:3]
    assert ended[tickets[1]].response_ids == alone[0][0].response_ids
    assert engine.stats().num_running == engine.stats().num_waiting == engine.stats().cached_tokens == 0


def test_who_stops_taking_rollouts_drops_the_rest(lm: LanguageModel) -> None:
    engine = Engine(lm)
    flying = engine.stream([Request([1, 2], 2), Request([3], 14)], DecodingConfig(ignore_eos=True))
    next(flying)
    flying.close()
    assert engine.is_idle


def test_a_stream_within_a_stream(lm: LanguageModel) -> None:
    engine, config = Engine(lm), DecodingConfig(ignore_eos=True, max_gen_length=12)
    outer = engine.stream([Request([1, 2], 2), Request([3], 12, seed=5)], config)
    next(outer)
    inner = engine.generate([[4]], config)
    [(number, rollout)] = outer
    assert number == 1 and rollout.response_ids == Engine(lm).generate([[3]], config, seeds=[[5]])[0][0].response_ids
    assert inner[0][0].response_ids == Engine(lm).generate([[4]], config)[0][0].response_ids


def test_a_full_cache_sets_the_youngest_aside(lm: LanguageModel) -> None:
    """Four sequences of 48 positions and room for 96: all begin together, as they need 16 each then."""
    config = DecodingConfig(ignore_eos=True, max_gen_length=40)
    prompts = [[number, 2, 3, 4, 5] for number in range(4)]
    engine = Engine(lm, EngineConfig(max_cache_tokens=96))
    assert_all_equal(engine.generate(prompts, config), generate(lm, prompts, config))
    stats = engine.stats()
    assert stats.num_preemptions >= 2 and stats.cache_capacity <= 96
    with pytest.raises(ValueError, match=r"up to 109 positions .* needs 112 in the cache, which has 96; shorten it"):
        engine.generate([[1] * 65], config)


def test_answers_are_read_once_in_a_conversation(lm: LanguageModel) -> None:
    """The next question begins with the last question and its answer, whose blocks lie in the cache."""
    engine, config = Engine(lm), DecodingConfig(ignore_eos=True)
    first, other = Request(list(range(1, 9)), 9), Request(list(range(101, 109)), 9)
    engine.submit(first, config)
    engine.submit(other, config)
    ended = {event.ticket: event.rollout for event in run_out(engine) if isinstance(event, Ended)}
    for ticket, before in ((1, first), (2, other)):
        rollout = ended[ticket]
        question = [*before.prompt_ids, *rollout.response_ids, *range(50, 54)]      # 21 tokens, 16 of them cached
        at_start = engine.forwarded_tokens
        engine.submit(Request(question, 1), config)
        [event] = run_out(engine)
        assert isinstance(event, Ended)
        assert engine.forwarded_tokens - at_start == 20 - 16 + 4 * event.rollout.num_forwards
        assert_equal(event.rollout, BlockDecoder(lm, config.model_copy(update={"decoder": "block"})).decode(
            [Request(question, 1)])[0])


def scaled(lm: LanguageModel) -> dict[str, torch.Tensor]:
    """Other weights, in all layers."""
    return {name: tensor * 1.05 + 0.01 for name, tensor in lm.backbone.state_dict().items()}


@pytest.mark.parametrize("kind", ["sdar", "dream"])
def test_blocks_after_a_swap_are_those_of_the_new_weights(kind: str, reference_dir: Path) -> None:
    """With the cache made anew: what follows is what the new weights make of prompt and finished blocks."""
    lm = load_model(reference_dir / kind / "ckpt", block_size=4 if kind == "sdar" else None)
    config = DecodingConfig(max_gen_length=16, block_size=4, ignore_eos=True, temperature=0.0, cache=None,
                            remasking_strategy="low_confidence_static")
    engine, prompt = Engine(lm), [9, 2, 3, 4]
    ticket = engine.submit(Request(prompt, 16, greedy=True), config, "blocks")
    before = list[int]()
    for _ in range(8):          # blocks of 4, a token a step
        before += [token for event in engine.step() if isinstance(event, BlockDone) for token in event.ids]
    engine.load_weights(scaled(lm).items(), 3, keep_cache=False)
    [rollout] = [event.rollout for event in run_out(engine) if isinstance(event, Ended) and event.ticket == ticket]
    assert rollout.weight_versions == [0, 0, 3, 3] and rollout.response_ids[:8] == before
    [[expected]] = generate(lm, [[*prompt, *before]], config.model_copy(update={"max_gen_length": 8}))
    assert rollout.response_ids[8:] == expected.response_ids
    torch.testing.assert_close(torch.tensor(rollout.logprobs[8:]), torch.tensor(expected.logprobs), atol=TOLERANCE, rtol=0)


def test_a_kept_cache_is_of_the_old_weights_and_given_to_nobody_else(reference_dir: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt", block_size=4)
    config = DecodingConfig(ignore_eos=True, temperature=0.0)
    long, prompt = Request([9, 2, 3, 4], 12, greedy=True), list(range(1, 9))
    rollouts = []
    for keep in (True, False):
        engine = Engine(lm)
        original = {name: own.clone() for name, own in lm.backbone.state_dict().items()}
        ticket = engine.submit(long, config)
        engine.submit(Request(prompt, 4, greedy=True), config)
        while engine.stats().num_running != 1:
            engine.step()
        engine.load_weights(scaled(lm).items(), 1, keep_cache=keep)
        late = engine.submit(Request(prompt, 4, greedy=True), config)
        ended = {event.ticket: event.rollout for event in run_out(engine) if isinstance(event, Ended)}
        assert ended[late].logprobs == pytest.approx(
            generate(lm, [prompt], config.model_copy(update={"max_gen_length": 4}))[0][0].logprobs, abs=TOLERANCE)
        rollouts.append(ended[ticket])
        engine.load_weights(original.items(), 0)
    assert rollouts[0].logprobs[-4:] != pytest.approx(rollouts[1].logprobs[-4:], abs=1e-3)


@pytest.mark.parametrize("kind", ["sdar", "dream"])
def test_sleep_frees_the_cache_and_changes_nothing(kind: str, reference_dir: Path) -> None:
    lm = load_model(reference_dir / kind / "ckpt", block_size=4 if kind == "sdar" else None)
    cache = {} if kind == "sdar" else {"cache": "dual"}
    config = DecodingConfig(max_gen_length=12, block_size=4, ignore_eos=True, **cache)
    requests = [Request([number, 2, 3, 4, 5], 12, seed=number) for number in range(3)]
    expected = dict(Engine(lm).stream(requests, config))
    engine = Engine(lm)
    tickets = [engine.submit(request, config) for request in requests]
    for _ in range(3):
        engine.step()
    engine.sleep()
    with pytest.raises(RuntimeError, match=r"asleep; call wake\(\) first"):
        engine.step()
    engine.wake()
    ended = {event.ticket: event.rollout for event in run_out(engine) if isinstance(event, Ended)}
    for number, ticket in enumerate(tickets):
        assert_equal(ended[ticket], expected[number])
    assert engine.stats().cache_bytes > 0
    engine.sleep()
    assert engine.stats().cache_bytes == engine.stats().cache_capacity == 0
    engine.wake()
    assert_equal(dict(engine.stream(requests[:1], config))[0], expected[0])


class Lazy(LowConfidenceStatic):
    """At fault: reveals nothing."""

    def reveal(self, scores: torch.Tensor, masked: torch.Tensor, step: Step, config: DecodingConfig) -> torch.Tensor:
        """See ``Strategy``."""
        return torch.zeros_like(masked)


def test_a_strategy_at_fault_fails_its_own_requests_alone(lm: LanguageModel) -> None:
    engine = Engine(lm)
    good = engine.submit(Request([1, 2], 4), DecodingConfig())
    bad = engine.submit(Request([1, 2], 4), DecodingConfig(remasking_strategy=f"{__name__}:Lazy"))
    events = {event.ticket: event for event in run_out(engine)}
    assert isinstance(events[good], Ended)
    failed = events[bad]
    assert isinstance(failed, Failed) and "left masks in a block after its last step" in str(failed.error)
    with pytest.raises(ValueError, match="left masks in a block after its last step"):
        engine.generate([[1, 2]], DecodingConfig(max_gen_length=4, remasking_strategy=f"{__name__}:Lazy"))


def test_bf16(reference_dir: Path) -> None:
    """The engine in bfloat16 scores as the model in bfloat16 does when it is asked for the whole sequence."""
    lm = load_model(reference_dir / "sdar" / "ckpt", dtype="bfloat16", block_size=4)
    config = DecodingConfig(max_gen_length=8, ignore_eos=True, denoising_steps_per_block=1, remasking_strategy="sequential")
    [[rollout]] = Engine(lm).generate([[1, 2, 3, 4]], config)
    views = build_views("trace", [rollout])
    [[replayed]] = target_logprobs(lm, [rollout], views)
    torch.testing.assert_close(replayed.detach(), torch.tensor(rollout.raw_logprobs), atol=0.1, rtol=0)
