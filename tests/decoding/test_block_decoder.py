"""The block loop: the reference entries exactly, batches, prompts of every shape, and hostile models."""

import json
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import BlockDecoder, Request
from dllm_rl.decoding.strategies import LowConfidenceStatic
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.records import Rollout
from dllm_rl.registry import FAMILIES, STRATEGIES
from tests.helpers.reference import entries

INDEX = json.loads((Path(__file__).parents[1] / "reference" / "sdar" / "goldens.json").read_text())
ENTRIES = [entry["name"] for entry in INDEX["generation"]]
MASK, PAD = INDEX["mask_token_id"], INDEX["pad_token_id"]
BLOCK = [name for name in FAMILIES if FAMILIES.load(name).attention == "block"]
GRID = [name for name in STRATEGIES if not STRATEGIES.load(name).adapts_blocks]
"""The strategies of a block family, whose blocks lie on a grid."""
TOLERANCE = 2e-5
"""fp32 rounding of other shapes and orders of summation; logits reach 16."""


def random_prompts(lengths: list[int], seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 500, (length,), generator=generator).tolist() for length in lengths]


def raw_log_probs_from_scratch(lm: LanguageModel, rollout: Rollout) -> list[float]:
    """Log-probabilities of response and tail, each step's canvas run through the whole model without a cache."""
    ids = torch.tensor(rollout.prompt_ids + rollout.response_ids + rollout.tail_ids)
    steps = torch.tensor([0] * len(rollout.prompt_ids) + rollout.step_map + rollout.tail_steps)
    found = torch.zeros(len(ids))
    for step in range(1, rollout.num_forwards + 1):
        chosen = steps == step
        end = (int(chosen.nonzero()[0]) // rollout.block_size + 1) * rollout.block_size
        canvas = ids.masked_fill(steps >= step, lm.mask_token_id)[None, :end]
        nats = lm.logits(canvas, block_size=rollout.block_size)[0].log_softmax(-1)
        found[chosen] = nats[chosen[:end], ids[chosen]]
    return found[len(rollout.prompt_ids):].tolist()


def assert_well_formed(lm: LanguageModel, rollout: Rollout, size: int) -> None:
    """What SPEC 1.3 says of every record."""
    ids, steps = rollout.response_ids + rollout.tail_ids, rollout.step_map + rollout.tail_steps
    assert sorted(set(steps)) == list(range(1, rollout.num_forwards + 1))
    assert (len(rollout.prompt_ids) + len(ids)) % size == 0
    begins = [0, *rollout.block_ends[:-1]]
    assert [end - begin for begin, end in zip(begins, rollout.block_ends, strict=True)] == [
        size - len(rollout.prompt_ids) % size] + [size] * (len(begins) - 1)
    blocks = [steps[begin:end] for begin, end in zip(begins, rollout.block_ends, strict=True)]
    assert all(max(one) < min(other) for one, other in pairwise(blocks))
    assert rollout.num_cache_forwards == len(blocks) - 1
    assert rollout.weight_versions == [0] * len(blocks)
    assert bool(lm.allowed_ids[torch.tensor(ids)].all())
    assert begins[-1] < len(rollout.response_ids) <= rollout.block_ends[-1]


def assert_same(one: Rollout, other: Rollout) -> None:
    """Equal in every field, log-probabilities up to rounding."""
    for field in fields(Rollout):
        ours, theirs = vars(one)[field.name], vars(other)[field.name]
        if "logprobs" in field.name:
            assert ours == pytest.approx(theirs, abs=TOLERANCE), field.name
        elif field.name != "decoding":
            assert ours == theirs, field.name


@pytest.mark.parametrize("name", ENTRIES)
def test_reference_entries_exactly(lm: LanguageModel, reference_dir: Path, name: str) -> None:
    entry = entries(reference_dir, "sdar", "generation")[name]
    params = entry["params"]
    config = DecodingConfig(
        temperature=params["temperature"], top_k=params.get("top_k", params.get("topk")),
        top_p=params.get("top_p", params.get("topp")), block_size=params["block_length"],
        denoising_steps_per_block=params["denoising_steps"], remasking_strategy=params["remasking_strategy"],
        dynamic_threshold=params.get("confidence_threshold", params.get("dynamic_threshold")),
        eb_threshold=params.get("eb_threshold", 1.0))
    whole = "sequences" in entry
    stops = params["stopping_criteria_idx"] if whole else [params["eos_token_id"], *params.get("stop_words", [])]
    [prompt] = entry["prompt_ids"].tolist()
    request = Request(prompt, params.get("gen_length", params.get("max_tokens")), frozenset(stops or ()), greedy=True)
    [rollout] = BlockDecoder(lm, config).decode([request])
    assert rollout.num_forwards == entry["denoise_forwards"]
    if not whole:
        assert rollout.response_ids == entry["completion"][0].tolist()
        assert rollout.step_map == entry["first_unmask_steps"][0].tolist()
        return
    rest = entry["sequences"].shape[1] - len(prompt) - rollout.block_ends[-1]
    assert prompt + rollout.response_ids + rollout.tail_ids + [MASK] * rest == entry["sequences"][0].tolist()
    assert ([-1] * len(prompt) + [step - 1 for step in rollout.step_map + rollout.tail_steps] + [-1] * rest
            == entry["step_map"][0].tolist())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("strategy", GRID)
@pytest.mark.parametrize("family", BLOCK)
def test_a_row_of_a_batch_is_its_single_run(block_lms: dict, family: str, strategy: str, temperature: float) -> None:
    lm = block_lms[family]
    config = DecodingConfig(temperature=temperature, remasking_strategy=strategy, dynamic_threshold=0.3,
                            eb_threshold=4.0, top_p=0.9)
    requests = [Request(prompt, max_new, frozenset({PAD, *range(0, 500, 17)}), seed, temperature == 0)
                for seed, (prompt, max_new) in enumerate(zip(random_prompts([1, 9, 4, 22, 6, 13]), [7, 12, 1, 9, 20, 8],
                                                             strict=True))]
    together = BlockDecoder(lm, config).decode(requests)
    in_threes = BlockDecoder(lm, config.model_copy(update={"batch_size": 3})).decode(requests[::-1])[::-1]
    assert len({len(rollout.block_ends) for rollout in together}) > 1
    for request, rollout, other in zip(requests, together, in_threes, strict=True):
        [alone] = BlockDecoder(lm, config).decode([request])
        assert_same(rollout, alone)
        assert_same(other, alone)
        assert rollout.seed == request.seed
        assert_well_formed(lm, rollout, 4)


def test_greedy_and_drawn_requests_of_one_call(lm: LanguageModel) -> None:
    [prompt] = random_prompts([6])
    drawn, greedy = BlockDecoder(lm, DecodingConfig()).decode(
        [Request(prompt, 8, seed=1), Request(prompt, 8, seed=1, greedy=True)])
    assert drawn.response_ids != greedy.response_ids
    assert (drawn.decoding.sampler_class, greedy.decoding.sampler_class) == ("drawn", "greedy")
    assert_same(greedy, BlockDecoder(lm, DecodingConfig()).decode([Request(prompt, 8, seed=1, greedy=True)])[0])


@st.composite
def configs(draw: st.DrawFn) -> DecodingConfig:
    """Settings of every kind that fit each other."""
    size = draw(st.sampled_from([1, 3, 4, 8]))
    return DecodingConfig(
        temperature=draw(st.sampled_from([0.0, 0.6, 1.0])), top_k=draw(st.sampled_from([0, 1, 30])), block_size=size,
        denoising_steps_per_block=draw(st.none() | st.integers(1, size)), dynamic_threshold=0.2, eb_threshold=5.0,
        remasking_strategy=draw(st.sampled_from(GRID)))


@settings(max_examples=60, deadline=None)
@given(config=configs(), length=st.integers(1, 17), max_new=st.integers(1, 13), seed=st.integers(0, 2**63 - 1))
def test_records_and_raw_log_probs_without_a_cache(lm: LanguageModel, config: DecodingConfig, length: int,
                                                   max_new: int, seed: int) -> None:
    [prompt] = random_prompts([length], seed % 1000)
    [rollout] = BlockDecoder(lm, config).decode(
        [Request(prompt, max_new, frozenset({PAD}), seed, greedy=config.temperature == 0)])
    assert_well_formed(lm, rollout, config.block_size)
    assert rollout.prompt_ids == prompt
    assert rollout.num_forwards <= len(rollout.block_ends) * (config.denoising_steps_per_block or config.block_size)
    recorded = rollout.raw_logprobs + rollout.tail_raw_logprobs
    assert raw_log_probs_from_scratch(lm, rollout) == pytest.approx(recorded, abs=TOLERANCE)


@pytest.mark.parametrize("length", [9, 10, 11, 12])
def test_mask_and_pad_ids_of_a_prompt_are_text(lm: LanguageModel, length: int) -> None:
    prompt = [PAD, MASK, 5, MASK, PAD, MASK, 7, MASK, MASK, PAD, MASK, MASK][:length]
    [rollout] = BlockDecoder(lm, DecodingConfig(dynamic_threshold=0.2)).decode([Request(prompt, 6, seed=3)])
    assert_well_formed(lm, rollout, 4)
    assert rollout.prompt_ids == prompt
    assert len(rollout.response_ids) == 6
    assert raw_log_probs_from_scratch(lm, rollout) == pytest.approx(
        rollout.raw_logprobs + rollout.tail_raw_logprobs, abs=TOLERANCE)


def test_prompts_longer_than_a_dense_mask(lm: LanguageModel) -> None:
    requests = [Request(prompt, 5, seed=1) for prompt in random_prompts([401, 30])]
    for rollout in BlockDecoder(lm, DecodingConfig()).decode(requests):
        assert raw_log_probs_from_scratch(lm, rollout) == pytest.approx(
            rollout.raw_logprobs + rollout.tail_raw_logprobs, abs=TOLERANCE)


def test_a_stop_inside_a_block_leaves_the_rest_in_the_tail(lm: LanguageModel) -> None:
    config = DecodingConfig(dynamic_threshold=0.2)
    [prompt] = random_prompts([6])
    [free] = BlockDecoder(lm, config).decode([Request(prompt, 14, seed=5)])
    assert free.finish_reason == "length"
    for place in range(len(free.response_ids)):
        [cut] = BlockDecoder(lm, config).decode([Request(prompt, 14, frozenset({free.response_ids[place]}), seed=5)])
        end = next(end for end in free.block_ends if end >= len(cut.response_ids))
        assert cut.finish_reason == "stop"
        assert len(cut.response_ids) == free.response_ids.index(free.response_ids[place]) + 1
        assert cut.response_ids + cut.tail_ids == (free.response_ids + free.tail_ids)[:end]
        assert cut.step_map + cut.tail_steps == (free.step_map + free.tail_steps)[:end]
        assert cut.num_forwards == max(cut.step_map + cut.tail_steps)


class LoudModel(LanguageModel):
    """A model that shouts the ids no decoder may draw."""

    volume: float = 1e30

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().head(hidden).masked_fill(~self.allowed_ids, self.volume)


def disguised(lm: LanguageModel, kind: type[LanguageModel]) -> LanguageModel:
    """The same model as an object of another class."""
    return kind(**{field.name: vars(lm)[field.name] for field in fields(LanguageModel)})


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("strategy", GRID)
def test_a_model_that_shouts_forbidden_ids_decodes_the_same_tokens(speaking_lm: LanguageModel, strategy: str,
                                                                   temperature: float) -> None:
    assert int((~speaking_lm.allowed_ids).sum()) == 10
    config = DecodingConfig(temperature=temperature, remasking_strategy=strategy, dynamic_threshold=0.3,
                            eb_threshold=4.0, top_k=40)
    requests = [Request(prompt, 9, seed=2, greedy=temperature == 0) for prompt in random_prompts([5, 8])]
    quiet = BlockDecoder(speaking_lm, config).decode(requests)
    loud = BlockDecoder(disguised(speaking_lm, LoudModel), config).decode(requests)
    for one, other in zip(quiet, loud, strict=True):
        assert_well_formed(speaking_lm, other, 4)
        assert (one.response_ids, one.step_map, one.logprobs) == (other.response_ids, other.step_map, other.logprobs)
        assert other.raw_logprobs == pytest.approx([-LoudModel.volume] * 9)


class DamagedModel(LanguageModel):
    """A model with one wrong logit per position."""

    logit: float

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().head(hidden)
        logits[..., 3] = self.logit
        return logits


@pytest.mark.parametrize("logit", [float("nan"), float("inf")])
@pytest.mark.parametrize("greedy", [False, True])
def test_nan_and_infinite_logits_are_an_error(lm: LanguageModel, greedy: bool, logit: float) -> None:
    damaged = disguised(lm, DamagedModel)
    damaged.logit = logit
    with pytest.raises(FloatingPointError, match="logits are NaN or infinite; its weights or activations are damaged"):
        BlockDecoder(damaged, DecodingConfig()).decode([Request([1], 4, greedy=greedy)])


class EagerStrategy(LowConfidenceStatic):
    """A user's strategy that claims every position, the prompt's too."""

    def reveal(self, scores, masked, step, config):
        return torch.ones_like(masked)


class IdleStrategy(LowConfidenceStatic):
    """A user's strategy that never reveals anything."""

    def reveal(self, scores, masked, step, config):
        return torch.zeros_like(masked)


def test_no_strategy_can_overwrite_the_prompt_or_commit_a_mask(lm: LanguageModel) -> None:
    [prompt] = random_prompts([6])
    eager = DecodingConfig(remasking_strategy=f"{__name__}:EagerStrategy")
    [rollout] = BlockDecoder(lm, eager).decode([Request(prompt, 6, seed=1)])
    assert (rollout.prompt_ids, rollout.step_map) == (prompt, [1, 1, 2, 2, 2, 2])
    idle = DecodingConfig(remasking_strategy=f"{__name__}:IdleStrategy")
    with pytest.raises(ValueError, match="IdleStrategy' left masks in a block after its last step"):
        BlockDecoder(lm, idle).decode([Request(prompt, 6)])


@pytest.mark.parametrize("strategy", GRID)
def test_the_record_says_how_it_was_decoded(lm: LanguageModel, strategy: str) -> None:
    config = DecodingConfig(remasking_strategy=strategy, top_p=0.9)
    [rollout] = BlockDecoder(lm, config, version=3).decode([Request([1, 2], 7)])
    added = {"sampler_class", "replay_class", "top_p_first", "opens_alone"}
    assert rollout.decoding.model_dump(exclude=added) == config.model_dump()
    assert rollout.decoding.sampler_class == STRATEGIES.load(strategy).sampler_class
    assert rollout.decoding.replay_class == "selection"
    assert rollout.weight_versions == [3] * len(rollout.block_ends)
    assert rollout.text is None


def test_the_text_keeps_special_tokens(speaking_lm: LanguageModel) -> None:
    [rollout] = BlockDecoder(speaking_lm, DecodingConfig()).decode([Request([1, 2], 30, seed=4)])
    assert rollout.text == speaking_lm.tokenizer.decode(rollout.response_ids)
    assert speaking_lm.tokenizer.encode(rollout.text) == rollout.response_ids


def test_training_mode_is_left_as_it_was(lm: LanguageModel) -> None:
    own = replace(lm)
    for training in (True, False):
        own.backbone.train(training)
        BlockDecoder(own, DecodingConfig()).decode([Request([1], 2)])
        assert own.backbone.training is training


@pytest.mark.cuda
def test_a_gpu_decodes_the_same_tokens(reference_dir: Path) -> None:
    requests = [Request(prompt, 12, frozenset({PAD}), seed) for seed, prompt in enumerate(random_prompts([3, 9, 20]))]
    config = DecodingConfig(dynamic_threshold=0.3, top_p=0.9)
    groups = [BlockDecoder(load_model(reference_dir / "sdar" / "ckpt", device), config).decode(requests)
              for device in ("cpu", "cuda")]
    for one, other in zip(*groups, strict=True):
        assert (one.response_ids, one.step_map) == (other.response_ids, other.step_map)


def test_nothing_to_decode(lm: LanguageModel) -> None:
    assert BlockDecoder(lm, DecodingConfig()).decode([]) == []
