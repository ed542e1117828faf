"""Answers with the order in which their tokens were revealed, as plain data that a report can play."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dllm_rl.evaluation.answers import Answerer
from dllm_rl.records import Scored, Task
from dllm_rl.records.atomic import write_text


def play(answerer: Answerer, tasks: Sequence[Task], title: str, seed: int) -> list[dict[str, Any]]:
    """Answer some tasks, and tell per response token its text and the forward that revealed it.

    Args:
        answerer: whose model has a tokenizer.
        tasks: what is asked.
        title: what to call the model.
        seed: run seed of the draws.

    Returns:
        per task ``title, question, gold, answer, correct, prompt, pieces, steps``.
    """
    return [_played(answerer, group[0], title) for group in answerer.answer(tasks, seed)]


def _played(answerer: Answerer, scored: Scored, title: str) -> dict[str, Any]:
    task, rollout, tokenizer = scored.task, scored.rollout, answerer.lm.tokenizer
    assert tokenizer is not None      # whoever renders prompts has one
    return {"title": title, "question": task.question, "gold": task.answer, "answer": scored.answer,
            "correct": scored.correct, "prompt": answerer.render(task),
            "pieces": [tokenizer.decode([token]) for token in rollout.response_ids], "steps": rollout.step_map}


def write_traces(path: Path, traces: Sequence[dict[str, Any]]) -> None:
    """Write traces as a JSON list; the file appears whole or not at all."""
    write_text(path, json.dumps(list(traces), indent=1) + "\n")
