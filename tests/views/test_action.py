"""Action views: who is a rival at a step, whose candidates were thrown away, and how much of the tail counts."""

import pytest
import torch

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.records import Discards, Rollout, Sample, View
from dllm_rl.views import build_views

DRAWN = RecordedDecoding(sampler_class="drawn", replay_class="selection")


def letters(views: list[View], num_prompt: int) -> list[str]:
    """Per view ``T`` for scored tokens, ``R`` for rivals, ``M`` for other masks, ``.`` for the rest, behind the prompt."""
    rows = []
    for view in views:
        rival = view.rival if view.rival is not None else torch.zeros_like(view.target)
        row = ["R" if r else "T" if t else "M" if m else "." for m, t, r in zip(
            view.masked.tolist(), view.target.tolist(), rival.tolist(), strict=True)]
        rows.append("".join(row[num_prompt:]))
    return rows


def action(rollout: Rollout | Sample, **options: object) -> list[str]:
    [views] = build_views("trace_action", [rollout], **options)
    return letters(views, len(rollout.prompt_ids))


def test_rivals_are_what_a_step_left_behind_in_its_block() -> None:
    # Blocks {a b} {c d e f}: d goes first, then c and f, then e.
    rollout = Rollout([1, 1], [5, 6, 7, 8, 9, 5], [1, 2, 4, 3, 5, 4], block_size=4, decoding=DRAWN)
    assert action(rollout) == ["TRRTRR", ".TT.RT", "....T."]


def test_a_step_that_leaves_nothing_has_no_rivals() -> None:
    [[view]] = build_views("trace_action", [Rollout([1], [2, 3, 4], [1, 1, 1], block_size=4, decoding=DRAWN)])
    assert view.rival is None and view.target.tolist() == [False, True, True, True]


def test_rivals_have_weight_1_and_no_cutoff_of_their_own() -> None:
    [[first, _]] = build_views("trace_action", [Rollout([], [2, 3], [2, 1], block_size=2, decoding=DRAWN)])
    assert first.rival.tolist() == [True, False] and first.cutoff is None and first.weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("sampler", ["random", "sequential", "distribution"])
def test_orders_that_look_at_no_candidate_have_no_rivals(sampler: str) -> None:
    decoding = RecordedDecoding(sampler_class=sampler, replay_class="selection")
    assert action(Rollout([], [2, 3], [2, 1], block_size=2, decoding=decoding)) == ["MT", "T."]


def test_the_tail_counts_up_to_the_last_visible_token() -> None:
    # One block: tail token x first, then a, then tail token y: y influenced nothing.
    rollout = Rollout([1], [5], [2], tail_ids=[7, 8], tail_steps=[1, 3], block_size=4, decoding=DRAWN)
    assert action(rollout) == ["RTR", "T.R"]
    [trace] = build_views("trace", [rollout], score_tail=True)
    assert letters(trace, 1) == ["MTM", "T.M"]


def test_a_canvas_compares_within_its_decoding_block() -> None:
    # Full attention, blocks of two: everything is masked behind, but only the block's own positions were candidates.
    rollout = Rollout([1], [5, 6, 7, 8], [2, 1, 3, 4], block_ends=[2, 4], decoding=DRAWN)
    assert action(rollout, block_size="full") == ["RTMM", "T.MM", "..TR", "...T"]


def test_a_block_that_opens_alone_compared_nothing_at_its_opening() -> None:
    decoding = RecordedDecoding(sampler_class="drawn", replay_class="selection", opens_alone=True)
    rollout = Rollout([1], [5, 6, 7], [1, 3, 2], block_ends=[3], decoding=decoding)
    assert action(rollout, block_size="full") == ["TMM", ".RT", ".T."]


def test_a_token_that_was_never_revealed_is_no_rival() -> None:
    rollout = Rollout([1], [5, 6], [1, 2], tail_ids=[7, 7], tail_steps=[0, 0], block_ends=[2], decoding=DRAWN)
    assert action(rollout, block_size="full") == ["TRMM", ".TMM"]


def test_discards_are_scored_as_labels_where_they_were_drawn() -> None:
    # Two steps in one block; at the first, b drew 9 and c drew 8; at the second c drew 4.
    rollout = Rollout([1], [5, 6, 7], [1, 2, 3], block_size=4, decoding=DRAWN,
                      discards=Discards(steps=[1, 1, 2], places=[1, 2, 2], ids=[9, 8, 4]))
    [views] = build_views("trace_all", [rollout])
    assert letters(views, 1) == ["TTT", ".TT", "..T"]
    assert [None if view.labels is None else view.labels.tolist() for view in views] == [
        [-1, -1, 9, 8], [-1, -1, -1, 4], None]
    assert all(view.rival is None for view in views)


def test_blocks_keep_their_discards_apart() -> None:
    rollout = Rollout([], [5, 6, 7, 8], [1, 2, 4, 3], block_size=2, decoding=DRAWN,
                      discards=Discards(steps=[1, 3], places=[1, 2], ids=[9, 4]))
    [views] = build_views("trace_all", [rollout])
    assert letters(views, 0) == ["TTTT", ".TT."]
    assert views[0].labels.tolist() == [-1, 9, 4, -1]


def test_discards_that_were_not_recorded_are_asked_for() -> None:
    for sample in (Rollout([1], [2], [1], block_size=2, decoding=DRAWN), Sample([1], [2])):
        with pytest.raises(ValueError, match="decode with record_discards=true, or use views=trace_action"):
            build_views("trace_all", [sample], block_size=2)
    quiet = RecordedDecoding(sampler_class="random", replay_class="selection")
    assert len(build_views("trace_all", [Rollout([1], [2], [1], block_size=2, decoding=quiet)])[0]) == 1


@pytest.mark.parametrize("name", ["trace_action", "trace_all"])
def test_rollouts_without_chance_are_refused(name: str) -> None:
    greedy = RecordedDecoding(sampler_class="greedy", replay_class="selection", temperature=0)
    with pytest.raises(ValueError, match=f"views '{name}' need choices that were drawn, .* at temperature 0"):
        build_views(name, [Rollout([1], [2], [1], block_size=2, decoding=greedy)])
