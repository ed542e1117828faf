"""The reward of tasks from the package ``reasoning-gym``: each data set judges its own answers."""

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.answers import found_answer
from dllm_rl.rewards.contract import RewardFunction
from dllm_rl.tasks.reasoning_gym import score_answer


def reasoning_gym_reward(options: AnswerOptions) -> RewardFunction:
    """A reward of what the task's data set says about the answer, 0 to 1; ``correct`` if that is 1.

    No answer gets 0; so does one that the data set's scorer fails at, and ``detail["unreadable"]`` is 1 then, else 0.

    Args:
        options: where the answer stands.

    Returns:
        the reward, which raises ``ValueError`` for a task of another task set, see ``score_answer``.
    """
    def score(tasks: list[Task], rollouts: list[Rollout]) -> list[Scored]:
        return [_scored(task, rollout, found_answer(rollout, options))
                for task, rollout in zip(tasks, rollouts, strict=True)]

    return score


def _scored(task: Task, rollout: Rollout, answer: str | None) -> Scored:
    score = score_answer(task, answer or "")
    reward = score if score is not None and answer is not None else 0.0
    is_unreadable = answer is not None and score is None
    return Scored(task, rollout, reward=reward, correct=reward == 1, answer=answer,
                  detail={"unreadable": float(is_unreadable)})
