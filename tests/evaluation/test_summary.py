"""Figures of scored answers, by hand."""

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
