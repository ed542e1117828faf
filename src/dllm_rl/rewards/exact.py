"""The exact reward: is the answer the gold answer, character for character?"""

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.answers import found_answer, gold_answer
from dllm_rl.rewards.contract import RewardFunction


def exact_reward(options: AnswerOptions) -> RewardFunction:
    """A reward of 1 for an answer with the gold answer's very text, 0 for any other and for none.

    For answers that are no numbers, such as a sudoku's 16 digits: nothing is read as mathematics, so that no rounding
    and no spelling can make two texts equal. White space around them does not count. Every score has ``answer`` and
    ``correct``.

    Args:
        options: where the answer stands.

    Returns:
        the reward, which raises ``ValueError`` for a task without a gold answer.
    """
    def score(tasks: list[Task], rollouts: list[Rollout]) -> list[Scored]:
        return [_scored(task, rollout, found_answer(rollout, options))
                for task, rollout in zip(tasks, rollouts, strict=True)]

    return score


def _scored(task: Task, rollout: Rollout, answer: str | None) -> Scored:
    is_right = answer == gold_answer(task, "exact").strip()
    return Scored(task, rollout, reward=float(is_right), correct=is_right, answer=answer)
