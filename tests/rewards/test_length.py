"""The length reward orders responses and tells equal lengths apart."""

import pytest

from dllm_rl.config.options import NoOptions
from dllm_rl.records import Rollout, Task
from dllm_rl.rewards.length import length_reward


def rewards(*responses: tuple[int, str | None]) -> list[float]:
    """Rewards of responses with these numbers of tokens and texts."""
    rollouts = [Rollout([1], [2] * count, [1] * count, text=text) for count, text in responses]
    scored = length_reward(NoOptions())([Task(id="t", question="?")] * len(rollouts), rollouts)
    return [item.reward for item in scored]


def test_exact_values() -> None:
    assert rewards((0, None), (3, None), (3, ""), (1, "ab")) == [1.0, 0.25, 0.25, 1 / 2.5]


@pytest.mark.parametrize("num_tokens", [0, 1, 7, 512, 10_000])
def test_fewer_tokens_win_whatever_the_text(num_tokens: int) -> None:
    [short, long] = rewards((num_tokens, "a" * 10**6), (num_tokens + 1, ""))
    assert 0 < long < short <= 1


def test_equal_numbers_of_tokens_differ_by_their_text() -> None:
    values = rewards(*[(256, "a" * length) for length in range(500, 1500, 7)])
    assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


def test_one_task_per_rollout() -> None:
    with pytest.raises(ValueError):
        length_reward(NoOptions())([], [Rollout([1], [], [])])
