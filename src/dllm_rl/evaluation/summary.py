"""What a set of scored answers says: accuracy with its interval, lengths, tokens per forward."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dllm_rl.records import Scored

Z_95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


def wilson_interval(num_right: float, num_all: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
        [0.4902, 0.9433]
    """
    if num_all < 1:
        raise ValueError(f"an interval needs at least one answer, got {num_all}")
    share, spread = num_right / num_all, Z_95 ** 2 / num_all
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(share * (1 - share) / num_all + spread / (4 * num_all))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Summary:
    """Figures over all answers of all tasks.

    Attributes:
        num_tasks: how many, those that were skipped included.
        num_skipped: tasks that were not answered, because their prompts do not fit into the model.
        num_answers: how many answers were given.
        samples_per_task: answers per answered task.
        accuracy: share of right answers (mean over all answers, not pass@k). Every answer that a skipped task would have
            had counts as wrong.
        accuracy_low, accuracy_high: 95 % interval of the accuracy. Samples of one task are not independent, so with
            several samples a task the interval is computed on the tasks' count.
        string_accuracy: the accuracy by upstream's comparison of texts, if the reward makes it for every answer.
        reward: mean reward; this and all that follow over given answers only.
        length: mean response tokens, the stop token included.
        share_truncated: answers that ended at the length limit.
        share_no_answer: answers in which no answer was found.
        tokens_per_forward: response tokens per denoising forward.
        tokens_per_forward_with_cache: the same, cache-writing forwards counted.
        answer_tokens_per_second: response tokens per second of decoding, if that was timed.
    """

    num_tasks: int
    num_skipped: int
    num_answers: int
    samples_per_task: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    string_accuracy: float | None
    reward: float
    length: float
    share_truncated: float
    share_no_answer: float
    tokens_per_forward: float
    tokens_per_forward_with_cache: float
    answer_tokens_per_second: float | None

    def as_dict(self) -> dict[str, float | None]:
        """The figures by name, ready for JSON."""
        return asdict(self)


def total_reward(scored: Scored) -> float:
    """The reward of a response as one number; a per-token reward is summed."""
    return sum(scored.reward) if isinstance(scored.reward, list) else scored.reward


def summarize(answers: Sequence[Scored], num_skipped: int = 0, seconds: float | None = None) -> Summary:
    """The figures of a non-empty list of scored answers; one without right or wrong counts as wrong.

    Args:
        answers: of one or more tasks.
        num_skipped: further tasks, which were not answered.
        seconds: that decoding took, if it was timed.

    Raises:
        ValueError: there is no answer.
    """
    if not answers:
        raise ValueError("there are no answers to summarize; is the task file empty?")
    num, rollouts = len(answers), [answer.rollout for answer in answers]
    num_answered = len({answer.task.id for answer in answers})
    num_tasks = num_answered + num_skipped
    share_answered = num_answered / num_tasks
    accuracy = sum(bool(answer.correct) for answer in answers) / num * share_answered
    low, high = wilson_interval(accuracy * num_tasks, num_tasks)
    tokens = sum(len(rollout.response_ids) for rollout in rollouts)
    forwards = sum(rollout.num_forwards for rollout in rollouts)
    cache_forwards = sum(rollout.num_cache_forwards for rollout in rollouts)
    by_string = [answer.detail["string_equal"] for answer in answers if "string_equal" in answer.detail]
    return Summary(
        num_tasks=num_tasks, num_skipped=num_skipped, num_answers=num, samples_per_task=num / num_answered,
        accuracy=accuracy, accuracy_low=low, accuracy_high=high,
        string_accuracy=sum(by_string) / num * share_answered if len(by_string) == num else None,
        reward=sum(total_reward(answer) for answer in answers) / num,
        length=tokens / num,
        share_truncated=sum(rollout.finish_reason == "length" for rollout in rollouts) / num,
        share_no_answer=sum(answer.answer is None for answer in answers) / num,
        tokens_per_forward=tokens / max(forwards, 1),
        tokens_per_forward_with_cache=tokens / max(forwards + cache_forwards, 1),
        answer_tokens_per_second=tokens / seconds if seconds else None,
    )
