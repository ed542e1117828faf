"""What of a step's answers is trained."""

from pathlib import Path
from typing import Any

import pytest

from dllm_rl.config.loading import parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.training.selection import TRUNCATED, Selection, Selector, is_truncated


def config(**values: Any) -> RlConfig:
    base = {"model": {"path": "m"}, "tasks": "arithmetic", "evaluation": {"tasks": "arithmetic"}}
    rollout = {"decoding": {"max_gen_length": 8}, **values.pop("rollout", {})}
    return parse_config(RlConfig, {**base, "rollout": rollout, **values}, "test")


def answer(reward: float, correct: bool | None = None, length: int = 2, reason: str = "stop", task: str = "a") -> Scored:
    rollout = Rollout([1], [2] * length, [1] * length, finish_reason=reason)
    return Scored(Task(id=task, question="?"), rollout, reward, correct)


def right(**fields: Any) -> Scored:
    return answer(1.0, True, **fields)


def wrong(**fields: Any) -> Scored:
    return answer(0.0, False, **fields)


def select(groups: list[list[Scored]], **values: Any) -> Selection:
    return Selector(config(**values), Path())(groups)


def test_groups_that_teach_nothing_are_counted_and_left_out() -> None:
    mixed = [right(), wrong(), wrong(), wrong()]
    selection = select([[right()] * 4, [wrong()] * 4, mixed])
    assert selection.rollouts == [scored.rollout for scored in mixed]
    assert selection.advantages.tolist() == pytest.approx([3 ** 0.5, *[-1 / 3 ** 0.5] * 3])
    assert selection.figures == {
        "groups_all_right": 1, "groups_all_wrong": 1, "groups_equal_rewards": 2, "groups_filtered": 0,
        "groups_empty": 0, "right_answers_histogram": {"0": 1, "1": 1, "2": 0, "3": 0, "4": 1}, "responses_truncated": 0,
        "responses_trained": 4}


def test_advantages_of_zero_are_not_trained() -> None:
    group = [answer(0.0), answer(1.0), answer(2.0)]
    selection = select([group])
    assert [id(rollout) for rollout in selection.rollouts] == [id(group[0].rollout), id(group[2].rollout)]
    assert selection.figures["right_answers_histogram"] == {}          # no verdicts


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, 0), (2, 1), (6, 1), (7, 0), (8, 0)])
def test_the_published_filter(count: int, kept: int) -> None:
    group = [right()] * count + [wrong()] * (8 - count)
    selection = select([group], filter={"min_pass_rate": 0.2, "max_pass_rate": 0.8})
    assert selection.figures["groups_filtered"] == 1 - kept
    assert bool(selection.rollouts) is bool(kept)


def test_truncated_answers_by_each_rule() -> None:
    group = [right(), right(length=8, reason="length"), wrong()]
    assert select([group]).figures["right_answers_histogram"] == {"0": 0, "1": 1, "2": 0, "3": 0}
    assert select([group], rollout={"truncated": "keep"}).figures["right_answers_histogram"]["2"] == 1
    dropped = select([group], rollout={"truncated": "drop"})
    assert len(dropped.rollouts) == 2
    assert dropped.figures["right_answers_histogram"] == {"0": 0, "1": 1, "2": 0}


@pytest.mark.parametrize("rule", TRUNCATED)
def test_every_rule_leaves_finished_answers_alone(rule: str) -> None:
    group = [right(), wrong(), answer(0.7)]
    assert TRUNCATED[rule](group, config().rollout) == group


def test_a_truncated_answer_without_a_verdict_is_kept_by_wrong() -> None:
    group = [answer(0.7, length=8, reason="length")]
    assert TRUNCATED["wrong"](group, config().rollout) == group
    assert TRUNCATED["drop"](group, config().rollout) == []


def test_truncation_does_not_raise_a_reward() -> None:
    group = [answer(-1.0, False, length=8, reason="length"), answer(-1.0, False)]
    assert [scored.reward for scored in TRUNCATED["wrong"](group, config().rollout)] == [-1.0, -1.0]
    assert select([group]).figures["responses_truncated"] == 1


def test_the_margin() -> None:
    near = config(rollout={"truncated_margin": 5}).rollout
    assert [is_truncated(right(length=length), near) for length in (2, 3, 8)] == [False, True, True]
    assert not is_truncated(right(length=8), config().rollout)           # stopped with its last token


def test_a_group_that_lost_all_its_answers_is_counted() -> None:
    selection = select([[right(reason="length")] * 2], rollout={"truncated": "drop"})
    assert (selection.rollouts, selection.figures["groups_empty"], selection.figures["groups_filtered"]) == ([], 1, 0)


def test_rewards_per_token_need_another_advantage() -> None:
    group = [Scored(Task(id="t/1", question="?"), Rollout([1], [2], [1]), [0.5])] * 2
    with pytest.raises(ValueError, match="reward of task 't/1' is a list"):
        select([group])


def test_a_group_of_one_is_refused_when_read() -> None:
    with pytest.raises(ValueError, match="rollout.num_response_per_task is 1; advantage 'group_z' compares .* needs 2"):
        config(rollout={"num_response_per_task": 1})
