"""Discards: what both loops keep under ``record_discards``, and that it changes nothing else."""

from dataclasses import replace

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import generate
from dllm_rl.decoding.discarding import note_discards
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import target_logprobs
from dllm_rl.records import Discards, Rollout
from dllm_rl.views import build_views

PROMPTS = [[3, 4, 5], [7] * 6]


def flat(groups: list[list[Rollout]]) -> list[Rollout]:
    return [rollout for group in groups for rollout in group]


def test_a_step_notes_what_it_left_behind() -> None:
    rows = [Progress.of(Request([1, 2], 4), 0, True), Progress.of(Request([1], 4), 1, False)]
    chosen = torch.tensor([[0, 0, 1, 0], [0, 1, 0, 0]]).bool()
    position = torch.arange(4).expand(2, 4)
    note_discards(rows, chosen, position, torch.tensor([2, 3, 5, 6]), torch.tensor([20, 21, 22, 23]), torch.tensor([5, 9]))
    assert rows[0].discards == Discards(steps=[5], places=[1], ids=[21])
    assert rows[1].discards is None


def assert_complete(rollout: Rollout, block_ends: list[int]) -> None:
    """Every step has a discard at each position of its block that it left masked."""
    steps = rollout.step_map + rollout.tail_steps
    expected = set()
    for begin, end in zip([0, *block_ends], block_ends, strict=False):
        for step in {step for step in steps[begin:end] if step}:
            expected |= {(step, place) for place in range(begin, end) if steps[place] > step}
    assert rollout.discards is not None
    assert set(zip(rollout.discards.steps, rollout.discards.places, strict=True)) == expected
    assert len(rollout.discards.ids) == len(expected)


@pytest.mark.parametrize("strategy", ["low_confidence_static", "low_confidence_dynamic", "hierarchical"])
def test_blocks_keep_all_they_threw_away_and_nothing_else_changes(lm: LanguageModel, strategy: str) -> None:
    config = DecodingConfig(remasking_strategy=strategy, max_gen_length=9, dynamic_threshold=0.3)
    plain = generate(lm, PROMPTS, config, num_samples=2)
    kept = generate(lm, PROMPTS, config.model_copy(update={"record_discards": True}), num_samples=2)
    for before, after in zip(flat(plain), flat(kept), strict=True):
        assert before.discards is None
        assert_complete(after, after.block_ends)
        assert replace(after, discards=None, decoding=before.decoding) == before


@pytest.mark.parametrize("family", ["dream", "llada"])
def test_canvases_keep_all_they_threw_away(full_lms: dict[str, LanguageModel], family: str) -> None:
    config = DecodingConfig(remasking_strategy="low_confidence_static", max_gen_length=8, block_size=4, steps=4,
                            record_discards=True, ignore_eos=True)
    for rollout in flat(generate(full_lms[family], PROMPTS, config)):
        assert_complete(rollout, rollout.block_ends)


def test_orders_that_look_at_no_candidate_keep_nothing(lm: LanguageModel) -> None:
    config = DecodingConfig(remasking_strategy="random_order", max_gen_length=6, record_discards=True)
    assert generate(lm, PROMPTS, config)[0][0].discards == Discards()


@pytest.mark.parametrize("family", ["sdar", "dream", "llada"])
def test_what_was_thrown_away_was_drawn(lm: LanguageModel, full_lms: dict[str, LanguageModel], family: str) -> None:
    """With top_k=2 every candidate is one of two, so that each label has a log-probability above -inf."""
    model = lm if family == "sdar" else full_lms[family]
    config = DecodingConfig(max_gen_length=8, top_k=2, dynamic_threshold=0.95, record_discards=True,
                            **({} if family == "sdar" else {"block_size": 4}))
    rollouts = flat(generate(model, PROMPTS, config))
    views = build_views("trace_all", rollouts, block_size=None if family == "sdar" else "full")
    assert any(view.labels is not None for own in views for view in own)
    for own in target_logprobs(model, rollouts, views, distribution="decoding"):
        assert all(bool(values.isfinite().all()) for values in own)
