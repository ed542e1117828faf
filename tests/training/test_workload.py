"""The layout that is foretold is the one that training makes."""

from pathlib import Path

import pytest

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.loading import parse_config
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.families.byte_tokenizer import END_OF_TEXT, MASK, byte_tokenizer
from dllm_rl.likelihood import build_packs
from dllm_rl.records import Sample, Task, View, ViewContext
from dllm_rl.registry import PRESETS
from dllm_rl.training.workload import lay_out, longest_rollout, read_prompts, rollout_layout
from dllm_rl.views import build_views, views_in
from tests.families.checkpoints import tiny

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
         "intermediate_size": 24, "vocab_size": 264, "max_position_embeddings": 64, "rope_theta": 10000.0,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    tokenizer = byte_tokenizer()
    ids = tokenizer.get_vocab()
    special = {"mask": ids[MASK], "pad": ids[END_OF_TEXT], "eos": ids[END_OF_TEXT]}
    return create_model("sdar", SIZES, tokenizer, special, block_size=4)


def rl(views: object = "trace", size: int = 2, tasks: int = 3, budget: int = 4096, updates: int = 1,
       **decoding: object) -> RlConfig:
    values = {"model": {"path": "x"}, "tasks": "arithmetic", "evaluation": {"tasks": "arithmetic"}, "views": views,
              "rollout": {"num_task_per_step": tasks, "num_response_per_task": size, "decoding": decoding},
              "max_tokens_per_micro_batch": budget, "updates_per_step": updates}
    return parse_config(RlConfig, values, "test")


def by_hand(prompt: int, response: int, size: int, shrink: int, steps: int) -> int:
    """Tokens of one response: the clean copy before its last block, and each block as often as it has rounds."""
    tokens = (prompt + response - 1) // size * size
    for begin in range(prompt // size * size, prompt + response, size):
        targets = min(begin + size, prompt + response) - max(begin, prompt)
        tokens += size * -(-min(steps, targets) // shrink)
    return tokens


def test_the_longest_rollout_takes_a_step_per_token(lm: LanguageModel) -> None:
    found = longest_rollout(lm, [7, 8, 9], DecodingConfig(max_gen_length=3), seed=5)
    assert (found.step_map, found.tail_steps, found.block_size, found.seed) == ([1, 2, 3], [4, 5], 4, 5)
    assert lm.pad_token_id not in found.response_ids


def test_a_block_has_no_more_steps_than_allowed(lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=9, denoising_steps_per_block=2)
    assert longest_rollout(lm, [7, 8, 9], config, seed=0).step_map == [1, 2, 3, 3, 3, 4, 5, 5, 5]


@pytest.mark.parametrize(("prompt", "response", "size", "shrink", "steps"), [
    (8, 8, 4, 1, 4), (7, 9, 4, 1, 4), (5, 6, 4, 1, 4), (1, 2, 4, 1, 4), (8, 16, 8, 2, 8), (6, 10, 4, 3, 4),
    (8, 8, 4, 1, 2), (9, 13, 8, 2, 3)])
def test_tokens_are_those_counted_by_hand(lm: LanguageModel, prompt: int, response: int, size: int, shrink: int,
                                          steps: int) -> None:
    config = rl({"name": "trace", "shrink": shrink}, size=2, tasks=1, max_gen_length=response, block_size=size,
                denoising_steps_per_block=steps)
    found = rollout_layout(config, Path(), lm, [[9] * prompt])
    assert found.num_tokens == 2 * by_hand(prompt, response, size, shrink, steps) - prompt // size * size
    assert (found.num_samples, found.num_laid_out, found.num_packs) == (2, 2, 1)
    assert found.num_row_tokens == found.num_views * (prompt + 2 * response)


def needed(views: list[View], prompt: int, size: int | None) -> int:
    """Tokens that the views of one response need: each its blocks with a target, once the clean history of the last.

    Full attention has one block and no clean history: each view is the whole sequence.
    """
    if size is None:
        return sum(len(view.masked) for view in views)
    blocks = [{place // size for place in view.target.nonzero()[:, 0].tolist()} for view in views]
    return max(max(own) for own in blocks) * size + sum(size * len(own) for own in blocks) - prompt // size * size


@pytest.mark.parametrize("family", ["sdar", "llada"])
@pytest.mark.parametrize("method", [name for name in PRESETS if "views" in PRESETS.load(name).get(RlConfig, {})])
def test_a_method_forwards_what_its_views_need_and_no_more(method: str, family: str) -> None:
    lm, prompt, responses = tiny(family, tokenizer=True), 9, 4
    config = parse_config(RlConfig, {
        "preset": [method], "model": {"path": "x"}, "tasks": "arithmetic", "evaluation": {"tasks": "arithmetic"},
        "rollout": {"num_task_per_step": 1, "num_response_per_task": responses, "decoding": {"max_gen_length": 10}},
        "updates_per_step": 1, **({"views": {"p_mask_prompt": 0.0}} if method == "diffu_grpo" else {})}, "test")
    rollouts = [longest_rollout(lm, [9] * prompt, config.rollout.decoding, seed) for seed in range(responses)]
    context = ViewContext(lm.block_size or "full", 0, lm.pad_token_id, num_passes=config.num_train_epochs)
    views = views_in(context, config.views, rollouts)
    shared = 0 if lm.block_size is None else prompt // lm.block_size * lm.block_size
    tokens = shared + sum(needed(own, prompt, lm.block_size) for own in views if own)
    found = rollout_layout(config, Path(), lm, [[9] * prompt])
    assert (found.num_tokens, found.num_views) == (tokens, sum(map(len, views)))


@pytest.mark.parametrize("budget", [60, 100, 4096])
@pytest.mark.parametrize("updates", [1, 4])
def test_decoded_rollouts_are_laid_out_as_foretold(lm: LanguageModel, budget: int, updates: int) -> None:
    """A random model that reveals one token per step and never stops makes the longest rollouts."""
    config = rl(size=2, tasks=3, budget=budget, updates=updates, max_gen_length=10, ignore_eos=True,
                remasking_strategy="low_confidence_static")
    prompts = [[9] * 5, [9] * 8, [9] * 11]
    groups = generate(lm, prompts, config.rollout.decoding, num_samples=2)
    first = [rollout for group in groups for rollout in group][:-(-6 // updates)]
    views = build_views("trace", first, pad_token_id=lm.pad_token_id)
    packs, targets = build_packs(first, views, lm.mask_token_id, lm.block_size, budget)
    found = rollout_layout(config, Path(), lm, prompts)
    assert found.num_samples == len(first)
    assert (found.num_tokens, found.num_views) == (sum(len(pack.ids) for pack in packs), targets.num_rows)
    assert (found.num_packs, found.pack_tokens) == (len(packs), max(len(pack.ids) for pack in packs))
    assert found.pack_targets == max(len(pack.rows) for pack in packs)


def test_a_part_stands_for_the_whole(lm: LanguageModel) -> None:
    """300 tasks of 2 responses, of which the prompts of 100 are known: three times their 200 responses."""
    config = rl(size=2, tasks=300, budget=100, max_gen_length=8)
    known = [[9] * 8] * 100
    part = rollout_layout(rl(size=2, tasks=100, budget=100, max_gen_length=8), Path(), lm, known)
    whole = rollout_layout(config, Path(), lm, known)
    assert (whole.num_laid_out, whole.num_samples) == (200, 600)
    assert (whole.num_tokens, whole.num_views, whole.num_packs) == (
        3 * part.num_tokens, 3 * part.num_views, 3 * part.num_packs)
    assert whole.pack_tokens == part.pack_tokens


def test_a_view_that_exceeds_the_budget_is_told_and_laid_out(lm: LanguageModel) -> None:
    config = rl(size=2, tasks=1, budget=10, max_gen_length=8)
    found = rollout_layout(config, Path(), lm, [[9] * 8])
    assert found.needed == 12 + 8 == found.pack_tokens
    with pytest.raises(ValueError, match="one view of a sample takes 20 tokens"):
        rollout = longest_rollout(lm, [9] * 8, config.rollout.decoding, 0)
        build_packs([rollout], build_views("trace", [rollout]), lm.mask_token_id, 4, 19)


def test_views_without_targets_are_an_error(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="hold no target"):
        lay_out(lm, [Sample([1], [2])], [[]], 10, 1)


def test_prompts_that_do_not_fit_are_counted_and_left_out(lm: LanguageModel) -> None:
    tasks = [Task(id=str(length), question="x" * length) for length in (5, 9, 45, 54, 55)]
    found = read_prompts(lm, tasks, PromptConfig(template="{problem}"), DecodingConfig(max_gen_length=10))
    assert ([len(ids) for ids in found.ids], found.too_long, found.block_size) == ([5, 9, 45, 54], 1, 4)
    assert (found.mean, found.largest, found.slots) == (113 / 4, 54, 52 + 12)


def test_the_cache_has_room_for_the_longest_prefix_and_the_longest_rest(lm: LanguageModel) -> None:
    tasks = [Task(id=str(length), question="x" * length) for length in (6, 9)]
    found = read_prompts(lm, tasks, PromptConfig(template="{problem}"), DecodingConfig(max_gen_length=7))
    assert found.slots == 8 + 12


def test_not_one_prompt_that_fits_is_an_error(lm: LanguageModel) -> None:
    decoding = DecodingConfig(max_gen_length=100)
    with pytest.raises(ValueError, match="no prompt fits: the shortest of 1 has 3 tokens, and max_gen_length 100 leaves 0"):
        read_prompts(lm, [Task(id="a", question="abc")], PromptConfig(template="{problem}"), decoding)


@pytest.mark.parametrize("views", ["trace_action", "trace_all"])
def test_actions_are_laid_out_with_every_rival(lm: LanguageModel, views: str) -> None:
    """Blocks of 4 behind a prompt of 3, a token a step: 1 target, then 4 + 3 + 2 + 1; the same tokens as trace views."""
    size = {"size": 2, "tasks": 1, "updates": 2, "max_gen_length": 5, "record_discards": True}
    plain, whole = (rollout_layout(rl(name, **size), Path(), lm, [[1, 2, 3]]) for name in ("trace", views))
    assert (plain.pack_targets, whole.pack_targets) == (5, 11)
    assert (plain.num_tokens, plain.num_views) == (whole.num_tokens, whole.num_views)
