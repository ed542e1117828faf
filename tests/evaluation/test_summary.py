"""Figures of scored answers, by hand."""

import json
from dataclasses import replace

import pytest

from dllm_rl.evaluation.summary import summarize, total_reward, wilson_interval
from dllm_rl.records import Rollout, Scored, Task


def answer(task: str, right: bool, length: int, forwards: int, **fields: object) -> Scored:
    rollout = Rollout([1], [5] * length, [1] * length, num_forwards=forwards, num_cache_forwards=1,
                      finish_reason=str(fields.pop("finish", "stop")))
    return Scored(Task(task, "?"), rollout, float(right), right, "x" if right else None)


def test_figures_of_three_answers() -> None:
    summary = summarize([answer("a", True, 4, 2), answer("a", False, 2, 2), answer("b", True, 6, 2, finish="length")])
    assert (summary.num_tasks, summary.num_answers, summary.length) == (2, 3, 4.0)
    assert summary.accuracy == pytest.approx(2 / 3)
    assert summary.share_truncated == pytest.approx(1 / 3)
    assert summary.share_no_answer == pytest.approx(1 / 3)
    assert (summary.tokens_per_forward, summary.tokens_per_forward_with_cache) == (2.0, 12 / 9)
    assert (summary.accuracy_low, summary.accuracy_high) == wilson_interval(4 / 3, 2)


def test_skipped_tasks_are_wrong_and_have_no_length() -> None:
    answers = [answer("a", True, 4, 2), answer("a", True, 2, 2), answer("b", True, 6, 2), answer("b", False, 8, 2)]
    plain, summary = summarize(answers), summarize(answers, num_skipped=3)
    assert (summary.num_tasks, summary.num_skipped, summary.num_answers, summary.samples_per_task) == (5, 3, 4, 2.0)
    assert summary.accuracy == pytest.approx(3 / 10)
    assert (summary.accuracy_low, summary.accuracy_high) == pytest.approx(wilson_interval(1.5, 5))
    assert (plain.num_tasks, plain.num_skipped, plain.accuracy) == (2, 0, 0.75)
    assert (summary.length, summary.reward, summary.tokens_per_forward) == (5.0, 0.75, 2.5)
    assert summary.share_no_answer == plain.share_no_answer == 0.25


def test_string_accuracy_where_every_answer_has_it() -> None:
    judged = [replace(answer("a", right, 4, 2), detail={"string_equal": equal})
              for right, equal in ((True, 1.0), (True, 0.0), (True, 0.0), (False, 0.0))]
    assert summarize(judged).string_accuracy == 0.25
    assert summarize(judged, num_skipped=1).string_accuracy == 0.125
    assert summarize([*judged, answer("b", True, 4, 2)]).string_accuracy is None


def test_tokens_per_second_where_decoding_was_timed() -> None:
    answers = [answer("a", True, 4, 2), answer("b", True, 6, 2)]
    assert summarize(answers, seconds=0.5).answer_tokens_per_second == 20.0
    assert summarize(answers).answer_tokens_per_second is None


def test_empty_responses_have_figures_too() -> None:
    summary = summarize([answer("a", False, 0, 0), answer("b", False, 0, 0)], seconds=0.5)
    assert (summary.accuracy, summary.length, summary.share_no_answer, summary.tokens_per_forward) == (0, 0, 1, 0)
    assert summary.answer_tokens_per_second == 0
    assert json.loads(json.dumps(summary.as_dict())) == summary.as_dict()


def test_wilson_interval_of_a_textbook_case() -> None:
    low, high = wilson_interval(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson_interval(0, 5)[0] == pytest.approx(0, abs=1e-15)
    assert wilson_interval(5, 5)[1] == pytest.approx(1)


def test_a_reward_per_token_is_summed() -> None:
    assert total_reward(Scored(Task("a", "?"), Rollout([1], [2, 3], [1, 1]), [0.5, -0.25])) == 0.25


def test_no_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="no answers to summarize"):
        summarize([])
