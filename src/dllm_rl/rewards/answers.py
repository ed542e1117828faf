"""What rewards that judge an answer have in common: the gold answer of a task and the answer of a rollout."""

from dllm_rl.config.options import AnswerOptions
from dllm_rl.records import Rollout, Task
from dllm_rl.tasks.extraction import last_boxed, response_text


def gold_answer(task: Task, reward: str) -> str:
    """The gold answer of a task; ``ValueError`` that names the task and the ``reward`` if it has none."""
    if task.answer is None or not task.answer.strip():
        raise ValueError(f"task {task.id!r} has no gold answer, which the {reward} reward needs; give it one or choose "
                         "another reward")
    return task.answer


def found_answer(rollout: Rollout, options: AnswerOptions) -> str | None:
    """The answer in a response, without white space around it; ``None`` if there is none."""
    text = rollout.text or ""
    found = last_boxed(text) if options.answer == "boxed" else response_text(text, options.end_tokens)
    return found.strip() or None if found is not None else None
