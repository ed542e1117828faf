"""The canvas loop: batches against single runs, the caches against models they are exact for, rules by hand."""

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding import BlockDecoder, Request
from dllm_rl.decoding.canvas_decoder import CanvasDecoder
from dllm_rl.decoding.canvas_rules import CanvasRules
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.decoding.strategies import LowConfidenceDynamic, LowConfidenceStatic
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import target_logprobs
from dllm_rl.records import Rollout
from dllm_rl.registry import FAMILIES, STRATEGIES
from dllm_rl.views import build_views
from tests.decoding.conftest import tiny_lm

FULL = [name for name in FAMILIES if FAMILIES.load(name).attention == "full"]
CACHES = {"none": {}, "prefix": {"cache": "prefix"}, "horizon": {"cache": "prefix", "further_horizon": 3},
          "dual": {"cache": "dual"}}
MASK, PAD = 500, 490
STOPS = frozenset({PAD, *range(0, 500, 17)})
DELIMITERS = list(range(0, 500, 7))
TOLERANCE = 2e-5
"""fp32 rounding of other shapes and orders of summation; logits reach 16. Decisions that close are rare and the random
cases the same in every run, so no case is left out for a near tie."""


def prompts(lengths: list[int], seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 500, (length,), generator=generator).tolist() for length in lengths]


def requests_of(lengths: list[int], max_new: list[int], greedy: bool, seed: int = 0) -> list[Request]:
    return [Request(prompt, new, STOPS, number + seed, greedy)
            for number, (prompt, new) in enumerate(zip(prompts(lengths, seed), max_new, strict=True))]


def assert_same(one: Rollout, other: Rollout) -> None:
    """Equal in every field, log-probabilities up to rounding."""
    for field in fields(Rollout):
        ours, theirs = vars(one)[field.name], vars(other)[field.name]
        if "logprobs" in field.name:
            assert ours == pytest.approx(theirs, abs=TOLERANCE), field.name
        elif field.name != "decoding":
            assert ours == theirs, field.name


def decoded(rollout: Rollout) -> tuple[list[int], list[int]]:
    """Ids and steps of response and tail."""
    return rollout.response_ids + rollout.tail_ids, rollout.step_map + rollout.tail_steps


def decode_one(lm: LanguageModel, config: DecodingConfig, request: Request) -> Rollout:
    [rollout] = load_decoder(lm, config).decode([request])
    return rollout


def assert_batch_is_single_runs(lm: LanguageModel, config: DecodingConfig, requests: list[Request]) -> list[Rollout]:
    """All together, reversed two at a time, and each alone."""
    together = load_decoder(lm, config).decode(requests)
    in_twos = load_decoder(lm, config.model_copy(update={"batch_size": 2})).decode(requests[::-1])[::-1]
    for request, rollout, other in zip(requests, together, in_twos, strict=True):
        alone = decode_one(lm, config, request)
        assert_same(rollout, alone)
        assert_same(other, alone)
    return together


def assert_well_formed(rollout: Rollout, max_new: int, size: int) -> None:
    """Every block is revealed before the next one; what is not revealed is a mask of step 0 behind the last block."""
    ids, steps = decoded(rollout)
    end = rollout.block_ends[-1]
    assert len(ids) == max_new
    assert rollout.block_ends == [min(begin + size, max_new) for begin in range(0, end, size)]
    assert (set(ids[end:]), set(steps[end:])) <= ({MASK}, {0})
    assert rollout.num_forwards == max(steps)
    for begin, stop in zip([0, *rollout.block_ends], rollout.block_ends, strict=False):
        assert max([0, *steps[:begin]]) < min(steps[begin:stop])
    assert MASK not in ids[:end]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("family", FULL)
def test_a_row_of_a_batch_is_its_single_run(full_lms: dict, family: str, cache: str, strategy: str,
                                            temperature: float) -> None:
    config = DecodingConfig(max_gen_length=8, block_size=4, steps=5, temperature=temperature, top_p=0.9,
                            remasking_strategy=strategy, dynamic_threshold=0.3, eb_threshold=4.0,
                            block_delimiters=DELIMITERS, **CACHES[cache])
    requests = requests_of([1, 9, 4], [8, 7, 4], temperature == 0)
    rollouts = assert_batch_is_single_runs(full_lms[family], config, requests)
    for request, rollout in zip(requests, rollouts, strict=True):
        if not STRATEGIES.load(strategy).adapts_blocks:
            assert_well_formed(rollout, request.max_new, 4)
        assert rollout.seed == request.seed


@st.composite
def cases(draw: st.DrawFn) -> tuple[DecodingConfig, list[Request]]:
    """Settings of every kind that fit each other, and two to four requests."""
    size, temperature = draw(st.sampled_from([1, 3, 4, 8])), draw(st.sampled_from([0.0, 0.7, 1.0]))
    num_blocks = draw(st.integers(1, 3))
    cache = draw(st.sampled_from(list(CACHES)))
    config = DecodingConfig(
        temperature=temperature, top_k=draw(st.sampled_from([0, 30])), block_size=size, max_gen_length=size * num_blocks,
        steps=draw(st.none() | st.integers(num_blocks, size * num_blocks + 2)), dynamic_threshold=0.2, eb_threshold=5.0,
        block_delimiters=DELIMITERS,
        remasking_strategy=draw(st.sampled_from(list(STRATEGIES))), **CACHES[cache],
        cfg_scale=draw(st.sampled_from([0.0, 1.5])) if cache == "none" else 0.0,
        alg_temp=draw(st.sampled_from([0.0, 0.5])))
    num = draw(st.integers(2, 4))
    lengths = draw(st.lists(st.integers(1, 17), min_size=num, max_size=num))
    news = draw(st.lists(st.integers(1, size * num_blocks), min_size=num, max_size=num))
    return config, requests_of(lengths, news, temperature == 0, draw(st.integers(0, 1000)))


@settings(max_examples=40)
@given(case=cases(), family=st.sampled_from(FULL))
def test_batches_of_any_settings(full_lms: dict, case: tuple[DecodingConfig, list[Request]], family: str) -> None:
    assert_batch_is_single_runs(full_lms[family], *case)


@pytest.mark.parametrize("family", FULL)
def test_a_row_that_stops_leaves_the_others_as_they_are(full_lms: dict, family: str) -> None:
    lm, config = full_lms[family], DecodingConfig(max_gen_length=12, block_size=4)
    free = [Request(prompt, 12, seed=number) for number, prompt in enumerate(prompts([5, 2, 11]))]
    before = load_decoder(lm, config).decode(free)
    stop = before[0].response_ids[1]
    after = load_decoder(lm, config).decode([replace(free[0], stop_ids=frozenset({stop})), *free[1:]])
    for one, other in zip(before[1:], after[1:], strict=True):
        assert_same(one, other)
    cut = after[0]
    length = before[0].response_ids.index(stop) + 1
    assert (cut.finish_reason, cut.response_ids, cut.block_ends) == ("stop", before[0].response_ids[:length], [4])
    assert cut.tail_ids == before[0].response_ids[length:4] + [MASK] * 8
    assert cut.tail_steps == before[0].step_map[length:4] + [0] * 8
    assert cut.num_forwards == max(before[0].step_map[:4])


def one_layer(family: str, reference_dir: Path) -> LanguageModel:
    """A model whose keys and values depend on a position's own token only, so that no cache of them is stale."""
    return tiny_lm(family, reference_dir, n_layers=1, num_hidden_layers=1)


@pytest.mark.parametrize("cache", ["prefix", "dual"])
@pytest.mark.parametrize("family", ["dream", "llada"])
def test_caches_of_a_single_layer_are_exact(reference_dir: Path, family: str, cache: str) -> None:
    lm = one_layer(family, reference_dir)
    config = DecodingConfig(decoder=f"{family}_fast", max_gen_length=12, block_size=4)
    requests = requests_of([3, 9], [12, 12], False)
    exact = load_decoder(lm, config).decode(requests)
    cached = load_decoder(lm, config.model_copy(update={"cache": cache})).decode(requests)
    for one, other in zip(exact, cached, strict=True):
        assert_same(one, other)
    assert len({tuple(rollout.response_ids) for rollout in exact}) == 2


@pytest.mark.parametrize("cache", ["prefix", "dual"])
@pytest.mark.parametrize("family", ["dream", "llada"])
def test_caches_of_more_layers_are_stale(full_lms: dict, family: str, cache: str) -> None:
    config = DecodingConfig(decoder=f"{family}_fast", max_gen_length=8, block_size=4)
    [request] = requests_of([9], [8], True)
    exact = decode_one(full_lms[family], config, request)
    cached = decode_one(full_lms[family], config.model_copy(update={"cache": cache}), request)
    assert exact.logprobs[0] == pytest.approx(cached.logprobs[0], abs=TOLERANCE)
    assert exact.logprobs != pytest.approx(cached.logprobs, abs=0.01)


class CountingModel(LanguageModel):
    """A model that notes the ids of every forward."""

    def hidden(self, input_ids: torch.Tensor, position_ids: torch.Tensor, attention: object) -> torch.Tensor:
        self.seen.append(input_ids.tolist())
        return super().hidden(input_ids, position_ids, attention)


class EvenModel(LanguageModel):
    """A model that gives two ids one half each, everywhere."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = torch.full((*hidden.shape[:-1], self.vocab_size), -torch.inf)
        logits[..., [3, 4]] = 0
        return logits


class PaddingModel(LanguageModel):
    """A model that says pad wherever the canvas has a mask."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().head(hidden)
        logits[..., PAD] += 1000
        return logits


def disguised(lm: LanguageModel, kind: type[LanguageModel]) -> LanguageModel:
    """The same model as an object of another class."""
    own = kind(**{field.name: vars(lm)[field.name] for field in fields(LanguageModel)})
    vars(own)["seen"] = []
    return own


@pytest.mark.parametrize(("cache", "widths"), [
    ({}, [17] * 6), ({"cache": "prefix"}, [17, 12, 17, 8, 17, 4]),
    ({"cache": "prefix", "further_horizon": 3}, [17, 7, 17, 7, 17, 4]),
    ({"cache": "prefix", "further_horizon": 0}, [17, 4] * 3), ({"cache": "dual"}, [17, 4] * 3)])
def test_what_each_forward_computes(full_lms: dict, cache: dict, widths: list[int]) -> None:
    lm = disguised(full_lms["llada"], CountingModel)
    config = DecodingConfig(max_gen_length=12, block_size=4, steps=6, remasking_strategy="low_confidence_static", **cache)
    rollout = decode_one(lm, config, Request([1, 2, 3, 4, 5], 12))
    assert [len(ids[0]) for ids in lm.seen] == widths
    assert rollout.num_forwards == len(widths)
    assert rollout.num_cache_forwards == 0


def test_a_window_sees_nothing_behind_its_horizon(reference_dir: Path) -> None:
    lm, [prompt] = one_layer("llada", reference_dir), prompts([5])
    config = DecodingConfig(max_gen_length=12, block_size=4, steps=6, cache="prefix", further_horizon=3,
                            remasking_strategy="low_confidence_static")
    ids, steps = decoded(rollout := decode_one(lm, config, Request(prompt, 12, greedy=True)))
    for step in range(1, 7):
        end = (step + 1) // 2 * 4 + 5
        reach = min(end + 3, 17) if step % 2 == 0 else 17
        canvas = torch.tensor([prompt + [token if own < step else MASK for token, own in zip(ids, steps, strict=True)]])
        nats = lm.logits(canvas[:, :reach])[0].detach().log_softmax(-1)
        chosen = [place for place, own in enumerate(steps) if own == step]
        assert [rollout.raw_logprobs[place] for place in chosen] == pytest.approx(
            [float(nats[5 + place, ids[place]]) for place in chosen], abs=TOLERANCE)


def test_a_threshold_is_met_by_its_equal_on_a_canvas_but_not_in_a_block(lm: LanguageModel, full_lms: dict) -> None:
    config = DecodingConfig(max_gen_length=4, block_size=4, dynamic_threshold=0.5)
    request = Request([1, 2, 3, 4], 4, seed=1)
    assert decode_one(disguised(full_lms["llada"], EvenModel), config, request).step_map == [1, 1, 1, 1]
    assert sorted(decode_one(disguised(lm, EvenModel), config, request).step_map) == [1, 2, 3, 4]


@pytest.mark.parametrize("family", FULL)
@pytest.mark.parametrize("scale", [0.0, 0.8])
def test_guidance_by_hand(full_lms: dict, family: str, scale: float) -> None:
    lm, [prompt] = full_lms[family], prompts([6])
    config = DecodingConfig(max_gen_length=5, block_size=5, steps=1, cfg_scale=scale,
                            remasking_strategy="low_confidence_static")
    rollout = decode_one(lm, config, Request(prompt, 5, greedy=True))
    with_prompt, without = lm.logits(torch.tensor([prompt + [MASK] * 5, [MASK] * 11]))[:, 6:]
    mixed = (without + (scale + 1) * (with_prompt - without)).masked_fill(~lm.allowed_ids, -torch.inf)
    assert rollout.response_ids == mixed.argmax(-1).tolist()
    assert rollout.logprobs == pytest.approx(mixed.log_softmax(-1).amax(-1).tolist(), abs=1e-4)
    assert rollout.step_map == [1] * 5
    assert rollout.decoding.replay_class == ("history" if scale else "selection")


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_a_shifted_model_opens_a_cached_block_with_its_first_position_alone(full_lms: dict, cache: str) -> None:
    config = DecodingConfig(max_gen_length=8, block_size=4, steps=4, cache=cache,
                            remasking_strategy="low_confidence_static")
    request = Request([1, 2, 3], 8, greedy=True)
    assert decode_one(full_lms["dream"], config, request).step_map == [1, 2, 2, 2, 3, 4, 4, 4]
    assert sorted(decode_one(full_lms["llada"], config, request).step_map) == [1, 1, 2, 2, 3, 3, 4, 4]
    whole = config.model_copy(update={"cache": "none"})
    assert sorted(decode_one(full_lms["dream"], whole, request).step_map) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_steps_are_split_over_blocks_and_earlier_ones_take_the_remainder(full_lms: dict) -> None:
    config = DecodingConfig(max_gen_length=12, block_size=4, steps=7, remasking_strategy="low_confidence_static")
    steps = decode_one(full_lms["llada"], config, Request([1], 12)).step_map
    assert [[block.count(step) for step in sorted(set(block))] for block in (steps[:4], steps[4:8], steps[8:])] == [
        [2, 1, 1], [2, 2], [2, 2]]


def test_an_all_pad_block_ends_the_rl_sampler_and_pads_fill_the_rest(full_lms: dict) -> None:
    lm, shown = disguised(full_lms["dream"], PaddingModel), []
    config = DecodingConfig(decoder="dream_rl", max_gen_length=12, block_size=4)
    requests = [Request([1, 2], 12, greedy=True), Request([1, 2, 3], 12, frozenset({PAD}), greedy=True)]
    free, stopped = load_decoder(lm, config).decode(requests, lambda number, ids: shown.append((number, ids)))
    first = free.step_map[:4]
    assert free.block_ends == stopped.block_ends == [4]
    assert free.num_forwards == max(first)
    assert (free.response_ids, free.step_map) == ([PAD] * 12, first + [free.num_forwards + 1] * 8)
    assert (stopped.response_ids, stopped.tail_ids) == ([PAD], [PAD] * 11)
    assert dict(shown) == {0: [PAD] * 12, 1: [PAD] * 12}
    other = decode_one(disguised(full_lms["dream"], PaddingModel), config.model_copy(update={"decoder": "canvas"}),
                       Request([1, 2], 12, greedy=True))
    assert other.block_ends == [4, 8, 12]


def test_the_native_rl_samplers_count_the_forwards_of_the_batch(full_lms: dict) -> None:
    """Their step ids are the batch's, so that a row's may skip numbers; the tokens of a greedy row are its own."""
    config = DecodingConfig(decoder="llada_rl", max_gen_length=12, block_size=4, dynamic_threshold=0.4)
    requests = [Request(prompt, 12, greedy=True) for prompt in prompts([3] * 8)]
    together, alone = load_decoder(full_lms["llada"], config).decode(requests), [
        decode_one(full_lms["llada"], config, request) for request in requests]
    assert [rollout.response_ids for rollout in together] == [rollout.response_ids for rollout in alone]
    assert len({rollout.num_forwards for rollout in together}) == 1
    assert together[0].num_forwards >= max(rollout.num_forwards for rollout in alone)
    assert [rollout.step_map for rollout in together] != [rollout.step_map for rollout in alone]


def test_an_inner_forward_follows_an_opening_that_finished_the_block(full_lms: dict) -> None:
    config = DecodingConfig(decoder="llada_rl", max_gen_length=8, block_size=4, dynamic_threshold=0.0)
    rollout = decode_one(full_lms["llada"], config, Request([1, 2], 8, greedy=True))
    assert (rollout.step_map, rollout.num_forwards) == ([1] * 4 + [3] * 4, 4)


class Threes(LowConfidenceDynamic):
    """A user's strategy that ends a block behind a delimiter, or after three tokens."""

    adapts_blocks = True

    def block_length(self, scores, masked, delimiter, config):
        found = delimiter[:, :3].any(1)
        return torch.where(found, delimiter.long().argmax(1) + 1, 3)


class PacedThrees(LowConfidenceStatic):
    """The same with a schedule."""

    adapts_blocks = True
    block_length = Threes.block_length


@pytest.mark.parametrize("kind", ["Threes", "PacedThrees"])
def test_blocks_that_the_strategy_ends(full_lms: dict, kind: str) -> None:
    config = DecodingConfig(max_gen_length=10, block_size=5, remasking_strategy=f"{__name__}:{kind}", block_delimiters=[])
    requests = [Request(prompt, new, seed=new) for prompt, new in zip(prompts([4, 9, 2]), [10, 7, 1], strict=True)]
    rollouts = assert_batch_is_single_runs(full_lms["llada"], config, requests)
    assert [rollout.block_ends for rollout in rollouts] == [[3, 6, 9, 10], [3, 6, 7], [1]]


def test_delimiters_are_candidates_of_the_opening(full_lms: dict) -> None:
    lm = full_lms["llada"]
    opening = lm.logits(torch.tensor([[1, 2, *[MASK] * 10]]))[0, 2:].masked_fill(~lm.allowed_ids, -torch.inf).argmax(-1)
    for place in range(3):
        config = DecodingConfig(max_gen_length=10, block_size=5, remasking_strategy=f"{__name__}:Threes",
                                block_delimiters=[int(opening[place])])
        rollout = decode_one(lm, config, Request([1, 2], 10, greedy=True))
        assert rollout.block_ends[0] == opening.tolist().index(int(opening[place])) + 1


def test_a_paced_block_that_shrank_is_shared_out_anew(full_lms: dict) -> None:
    config = DecodingConfig(max_gen_length=6, block_size=6, steps=3, remasking_strategy=f"{__name__}:PacedThrees",
                            block_delimiters=[])
    steps = decode_one(full_lms["llada"], config, Request([1, 2], 6)).step_map
    assert sorted(steps[:3]) == [1, 2, 3]


@pytest.mark.parametrize("settings", [{}, {"cache": "dual"}, {"decoder": "llada_rl", "dynamic_threshold": 0.0}])
def test_the_watcher_sees_every_forward_and_the_end(full_lms: dict, settings: dict) -> None:
    shown: list[tuple[int, list[int]]] = []
    config = DecodingConfig(**{"max_gen_length": 8, "block_size": 4, **settings})
    request = Request([1, 2], 8, seed=3)
    [rollout] = load_decoder(full_lms["llada"], config).decode([request], lambda *seen: shown.append(seen))
    ids, steps = decoded(rollout)
    assert len(shown) == rollout.num_forwards
    for number, (row, seen) in enumerate(shown, 1):
        assert row == 0
        assert seen == [token if step <= number else MASK for token, step in zip(ids, steps, strict=True)]


@pytest.mark.parametrize("family", FULL)
def test_the_record_says_whether_it_can_be_replayed(full_lms: dict, family: str) -> None:
    for strategy in STRATEGIES:
        config = DecodingConfig(max_gen_length=4, remasking_strategy=strategy, block_delimiters=[3])
        recorded = decode_one(full_lms[family], config, Request([1], 4)).decoding
        assert (recorded.replay_class, recorded.cache, recorded.decoder) == (
            STRATEGIES.load(strategy).replay_class, "none", "canvas")
        assert (recorded.block_size, recorded.score_of) == (4, "processed")
        assert recorded.sampler_class == STRATEGIES.load(strategy).sampler_class
    for inexact in ({"cache": "prefix"}, {"cache": "dual"}, {"cfg_scale": 0.5}):
        recorded = decode_one(full_lms[family], DecodingConfig(max_gen_length=4, **inexact), Request([1], 4)).decoding
        assert recorded.replay_class == "history"
    assert decode_one(full_lms[family], DecodingConfig(max_gen_length=4), Request([1], 4, greedy=True)
                      ).decoding.sampler_class == "greedy"


def test_what_cannot_be_replayed_is_refused(lm: LanguageModel) -> None:
    [rollout] = BlockDecoder(lm, DecodingConfig()).decode([Request([1, 2], 6)])
    stale = replace(rollout, decoding=RecordedDecoding(**{**rollout.decoding.model_dump(), "replay_class": "history"}))
    views = build_views("trace", [stale])
    with pytest.raises(ValueError, match=r"sample 0 was decoded with stale or fused states .* decode with cache=none"):
        target_logprobs(lm, [stale], views, distribution="decoding")
    assert target_logprobs(lm, [stale], views)[0]


class Idle(LowConfidenceStatic):
    """A user's strategy that never reveals anything."""

    def reveal(self, scores, masked, step, config):
        return torch.zeros_like(masked)


class Eager(LowConfidenceStatic):
    """A user's strategy that claims every position, the prompt's too."""

    def reveal(self, scores, masked, step, config):
        return torch.ones_like(masked)


def test_no_strategy_can_overwrite_the_prompt_or_loop_for_ever(full_lms: dict) -> None:
    eager = DecodingConfig(max_gen_length=8, block_size=4, remasking_strategy=f"{__name__}:Eager")
    rollouts = load_decoder(full_lms["dream"], eager).decode([Request([1, 2], 8), Request([5], 6)])
    assert [(rollout.prompt_ids, rollout.step_map) for rollout in rollouts] == [
        ([1, 2], [1] * 4 + [2] * 4), ([5], [1] * 4 + [2] * 2)]
    for cache in ("none", "prefix", "dual"):
        idle = DecodingConfig(max_gen_length=8, remasking_strategy=f"{__name__}:Idle", cache=cache)
        with pytest.raises(ValueError, match="Idle' left masks in a block after its last step"):
            decode_one(full_lms["llada"], idle, Request([1, 2], 8))


class DamagedModel(LanguageModel):
    """A model with one wrong logit per position."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().head(hidden)
        logits[..., 3] = torch.nan
        return logits


@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
@pytest.mark.parametrize("greedy", [False, True])
def test_nan_logits_are_an_error(full_lms: dict, cache: str, greedy: bool) -> None:
    damaged = disguised(full_lms["llada"], DamagedModel)
    with pytest.raises(FloatingPointError, match="logits are NaN or infinite"):
        decode_one(damaged, DecodingConfig(max_gen_length=4, cache=cache), Request([1], 4, greedy=greedy))
    assert not damaged.backbone.training


@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
def test_mask_and_pad_ids_of_a_prompt_are_text(full_lms: dict, cache: str) -> None:
    prompt = [PAD, MASK, 5, MASK, MASK]
    rollout = decode_one(full_lms["llada"], DecodingConfig(max_gen_length=8, cache=cache), Request(prompt, 8, seed=3))
    assert rollout.prompt_ids == prompt
    assert_well_formed(rollout, 8, 8)


def test_whole_forwards_are_what_the_record_says(full_lms: dict) -> None:
    for family, lm in full_lms.items():
        [prompt] = prompts([7])
        rollout = decode_one(lm, DecodingConfig(max_gen_length=8, block_size=4, dynamic_threshold=0.2),
                             Request(prompt, 8, seed=2))
        ids, steps = decoded(rollout)
        for step in range(1, rollout.num_forwards + 1):
            canvas = prompt + [token if own < step else MASK for token, own in zip(ids, steps, strict=True)]
            nats = lm.logits(torch.tensor([canvas]))[0, 7:].detach().log_softmax(-1)
            for place in [place for place, own in enumerate(steps) if own == step]:
                assert rollout.raw_logprobs[place] == pytest.approx(float(nats[place, ids[place]]), abs=2e-5), family


def test_other_rules_are_plain_records(full_lms: dict) -> None:
    rules = CanvasRules(one_block=True, early_stop="never")
    decoder = CanvasDecoder(full_lms["llada"], DecodingConfig(decoder="canvas", max_gen_length=6), rules=rules)
    [rollout] = decoder.decode([Request([1, 2], 6, frozenset(range(500)))])
    assert (rollout.block_ends, len(rollout.response_ids), rollout.finish_reason) == ([6], 1, "stop")
    assert 0 not in rollout.tail_steps


@pytest.mark.cuda
@pytest.mark.parametrize("cache", CACHES)
def test_a_gpu_decodes_the_same_tokens(reference_dir: Path, cache: str) -> None:
    config = DecodingConfig(max_gen_length=12, block_size=4, dynamic_threshold=0.3, top_p=0.9, **CACHES[cache])
    groups = [load_decoder(load_model(reference_dir / "dream" / "ckpt", device), config).decode(
        requests_of([3, 9, 20], [12, 9, 5], False)) for device in ("cpu", "cuda")]
    for one, other in zip(*groups, strict=True):
        assert (one.response_ids, one.step_map) == (other.response_ids, other.step_map)


def test_nothing_to_decode(full_lms: dict) -> None:
    assert load_decoder(full_lms["llada"], DecodingConfig()).decode([]) == []


@pytest.mark.parametrize(("window", "widest"), [(None, 4), (8, 8)])
def test_adablock_may_end_a_block_early_or_within_its_window(window: int | None, widest: int, reference_dir: Path) -> None:
    """Every token is a delimiter or none is: blocks of the surest place, and blocks of the fixed size."""
    lm = load_model(reference_dir / "llada" / "ckpt")
    request = Request([1, 2, 3], 16, seed=4)
    settings = {"max_gen_length": 16, "block_size": 4, "remasking_strategy": "adablock", "adablock_window": window}
    every = DecodingConfig(**settings, block_delimiters=list(range(512)), adablock_threshold=0.0)
    [rollout] = load_decoder(lm, every).decode([request])
    lengths = [end - begin for begin, end in pairwise([0, *rollout.block_ends])]
    assert sum(lengths) == 16 and max(lengths) <= widest and len(set(lengths)) > 1
    if window:
        assert max(lengths) > 4
    none = DecodingConfig(**settings, block_delimiters=[511], adablock_threshold=1.0)
    [rollout] = load_decoder(lm, none).decode([request])
    assert rollout.block_ends == [4, 8, 12, 16]
