"""``dllm-rl generate``: decode responses to prompts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dllm_rl.config.generation import GenerateConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import load_configured
from dllm_rl.records import Rollout, Task
from dllm_rl.tasks import load_tasks
from dllm_rl.tasks.prompts import render_prompt

PROMPTS_PER_CALL = 64
"""Prompts decoded between two movements of the progress bar."""


def read_questions(config: GenerateConfig, folder: Path) -> list[Task]:
    """Every question of a configuration as a task; ``ValueError`` if its file is absent."""
    lines = list(config.prompts)
    if config.prompts_file is not None:
        file = folder / config.prompts_file
        if not file.is_file():
            raise ValueError(f"no prompts file {file}")
        lines += [line for line in file.read_text().splitlines() if line.strip()]
    tasks = [Task(id=str(number), question=line) for number, line in enumerate(lines)]
    if config.tasks is not None:
        tasks += load_tasks(config.tasks.name, config.tasks.options, folder)
    return tasks


def _line(task: Task, prompt: str, group: Sequence[Rollout], trace: bool) -> dict[str, Any]:
    responses: list[dict[str, Any]] = []
    for rollout in group:
        short = {"text": rollout.text, "finish_reason": rollout.finish_reason, "tokens": len(rollout.response_ids),
                 "num_forwards": rollout.num_forwards, "num_cache_forwards": rollout.num_cache_forwards}
        kept = ("response_ids", "step_map", "logprobs", "raw_logprobs", "tail_ids", "tail_steps", "block_ends", "seed")
        responses.append(short | ({name: vars(rollout)[name] for name in kept} if trace else {}))
    return {"id": task.id, "question": task.question, "prompt": prompt, "responses": responses}


def run_generate(config: GenerateConfig, folder: Path, display: Display) -> list[dict[str, Any]]:
    """Decode; returns one dictionary per prompt, and writes them as JSON lines where ``out`` says so.

    Raises:
        ValueError: anything the user can mend: paths, prompts, settings.
    """
    tasks = read_questions(config, folder)
    lm = load_configured(config.model)
    decoder = LocalDecoder(lm)
    prompts = [render_prompt(task, lm.family.prompts, config.prompt.template, config.prompt.think) for task in tasks]
    lines = []
    with display.bar("generate", len(prompts)) as bar:
        for start in range(0, len(prompts), PROMPTS_PER_CALL):
            some = prompts[start:start + PROMPTS_PER_CALL]
            groups = decoder.generate(some, config.decoding, config.num_samples)
            lines += [_line(task, prompt, group, config.trace)
                      for task, prompt, group in zip(tasks[start:], some, groups, strict=False)]
            bar.advance(len(some))
    if config.out is not None:
        Path(config.out).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return lines
