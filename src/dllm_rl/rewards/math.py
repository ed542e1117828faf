"""The maths reward: is the answer right?"""

from dllm_rl.config.options import MathRewardOptions
from dllm_rl.records import Rollout, Scored, Task
from dllm_rl.rewards.answers import found_answer, gold_answer
from dllm_rl.rewards.contract import RewardFunction
from dllm_rl.rewards.math_equality import default_verifier
from dllm_rl.rewards.string_equality import string_equal


def math_reward(options: MathRewardOptions) -> RewardFunction:
    """A reward of 1 for an answer equal to the gold one, 0 for any other and for none (SPEC 6.2, rule 1).

    Every score has ``answer``, ``correct`` and, whatever the route, ``detail["string_equal"]``: upstream's verdict
    (1 or 0). The truncation rule and the z-score of SPEC 6.2 are not part of it.

    Args:
        options: where the answer stands and which equality counts.

    Returns:
        the reward, which raises ``ValueError`` for a task without a gold answer.
    """
    def score(tasks: list[Task], rollouts: list[Rollout]) -> list[Scored]:
        golds = [gold_answer(task, "math") for task in tasks]
        answers = [found_answer(rollout, options) for rollout in rollouts]
        pairs = [(gold, answer) for gold, answer in zip(golds, answers, strict=True) if answer is not None]
        by_string = {pair: string_equal(*pair) for pair in pairs}
        counted = by_string if options.route == "string" else _verified(pairs)
        return [_scored(task, rollout, answer, by_string.get((gold, answer or "")), counted.get((gold, answer or "")))
                for task, rollout, gold, answer in zip(tasks, rollouts, golds, answers, strict=True)]

    return score


def _verified(pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    return dict(zip(pairs, default_verifier().verify_pairs(pairs), strict=True))


def _scored(task: Task, rollout: Rollout, answer: str | None, by_string: bool | None, counted: bool | None) -> Scored:
    return Scored(task, rollout, reward=float(bool(counted)), correct=bool(counted), answer=answer,
                  detail={"string_equal": float(bool(by_string))})
