"""Tasks whose prompts leave the model no room for an answer."""

from collections.abc import Sequence

from dllm_rl.decoding.request import encode_prompt, length_problem, position_grain
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.records import Task


def fitting_tasks(answerer: Answerer, tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """Part tasks by whether prompt and longest response fit into the model's positions.

    Args:
        answerer: whose prompt format, tokenizer and decoding settings count.
        tasks: one or more.

    Returns:
        (kept, skipped), each in the order of ``tasks``. The engine would refuse those that are skipped.

    Raises:
        ValueError: no task fits; or a prompt, block size or format that cannot be used.
    """
    lm, max_new = answerer.lm, answerer.decoding.max_gen_length
    block_size = position_grain(lm, answerer.decoding)
    problems = [length_problem(lm, encode_prompt(lm, answerer.render(task)), max_new, block_size) for task in tasks]
    kept = [task for task, problem in zip(tasks, problems, strict=True) if problem is None]
    if not kept:
        raise ValueError(f"none of {len(tasks)} tasks fits into the model; the first, {tasks[0].id!r}: {problems[0]}")
    return kept, [task for task, problem in zip(tasks, problems, strict=True) if problem is not None]
