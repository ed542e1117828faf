"""Rewards by name."""

import math
from pathlib import Path

import pytest

from dllm_rl.records import Rollout, Task
from dllm_rl.registry import REWARDS
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks

TASKS = [Task(id="a", question="1/2?", answer="0.5"), Task(id="b", question="2?", answer="2")]
ROLLOUTS = [Rollout([1], [2, 3], [1, 2], text="\\boxed{1/2}"), Rollout([1], [], [], text=None)]


def tasks_for(name: str) -> list[Task]:
    """Two tasks that a reward can judge."""
    if name != "reasoning_gym":
        return TASKS
    pytest.importorskip("reasoning_gym")
    return load_tasks("reasoning_gym", {"dataset": "chain_sum", "size": 2})


@pytest.mark.parametrize("name", list(REWARDS))
def test_every_reward_scores_a_batch(name: str) -> None:
    tasks = tasks_for(name)
    reward = build_reward(name, {})
    scored = reward(tasks, ROLLOUTS)
    assert [item.task for item in scored] == tasks and [item.rollout for item in scored] == ROLLOUTS
    assert all(isinstance(item.reward, float) and math.isfinite(item.reward) for item in scored)
    assert reward([], []) == []
    assert reward(tasks[::-1], ROLLOUTS[::-1]) == scored[::-1]
    assert build_reward(name, REWARDS.options(name)())(tasks, ROLLOUTS) == scored


@pytest.mark.parametrize("name", list(REWARDS))
def test_every_reward_wants_one_task_per_rollout(name: str) -> None:
    with pytest.raises(ValueError):
        build_reward(name, {})(tasks_for(name)[:1], ROLLOUTS)


@pytest.mark.parametrize("name", list(REWARDS))
def test_every_reward_refuses_unknown_options(name: str) -> None:
    tasks_for(name)
    with pytest.raises(ValueError, match=f"reward '{name}' has no option 'rote'"):
        build_reward(name, {"rote": "verify"})


def test_unknown_name_and_value() -> None:
    with pytest.raises(ValueError, match="unknown reward 'maths'; did you mean 'math'"):
        build_reward("maths", {})
    with pytest.raises(ValueError, match="reward 'math': route: .*given: 'x'"):
        build_reward("math", {"route": "x"})


def test_a_users_reward_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    source = "def f(task, rollout, scale=1):\n    return scale * len(rollout.response_ids)\n"
    (tmp_path / "own_reward.py").write_text(source)
    scored = build_reward("./own_reward.py:f", {"scale": 3}, tmp_path)(TASKS, ROLLOUTS)
    assert [item.reward for item in scored] == [6.0, 0.0]


def test_a_users_reward_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file .*none.py"):
        build_reward("./none.py:f", {}, tmp_path)


def test_the_time_limit_holds_for_a_users_reward(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef f(task, rollout):\n    time.sleep(60)\n")
    with pytest.raises(ValueError, match=r"slow.py:f has not returned within 0.2 s on 'a' at .*slow.py, line 3;"):
        build_reward("./slow.py:f", {}, tmp_path, time_limit=0.2)(TASKS, ROLLOUTS)
