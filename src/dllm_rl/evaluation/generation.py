"""``dllm-rl generate``: decode responses to prompts."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.decoding.request import encode_prompt, length_problem, position_grain
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import load_configured
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout, Task
from dllm_rl.records.atomic import atomic_file
from dllm_rl.records.storage import write_records
from dllm_rl.tasks import load_tasks
from dllm_rl.tasks.prompts import render_prompt

STANDARD_INPUT = "-"
"""The prompts file that is no file."""

TRACE = ("response_ids", "step_map", "logprobs", "raw_logprobs", "tail_ids", "tail_steps", "tail_logprobs",
         "tail_raw_logprobs", "block_ends", "seed")
"""Fields of a rollout that its line has under ``trace``."""

PLACE = "place"
"""Key of ``Task.meta``: where a prompt was given, in words."""

Say = Callable[[str], None]


def read_questions(config: GenerateConfig, folder: Path, say: Say = lambda _: None) -> list[Task]:
    """Every question of a configuration as a task.

    Args:
        config: names prompts, a file, task sets.
        folder: what relative paths start from.
        say: is told how many empty lines were skipped.

    Raises:
        ValueError: the file is absent or no text, or nothing is left to decode.
    """
    questions = [(f"prompts[{number}]", text) for number, text in enumerate(config.prompts)]
    if config.prompts_file is not None:
        name, lines = _read_lines(config.prompts_file, folder)
        filled = [(f"{name}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
        if len(filled) < len(lines):
            say(f"{name}: {len(lines) - len(filled)} empty lines of {len(lines)} skipped")
        questions += filled
    tasks = [Task(id=str(number), question=text, meta={PLACE: place}) for number, (place, text) in enumerate(questions)]
    if config.tasks is not None:
        tasks += load_tasks(config.tasks.name, config.tasks.options, folder)
    if not tasks:
        raise ValueError(f"{config.prompts_file} has no prompt in it; write one per line")
    return tasks


def _read_lines(prompts_file: str, folder: Path) -> tuple[str, list[str]]:
    """The name of a prompts file for messages, and its lines without their ends."""
    if prompts_file == STANDARD_INPUT:
        return "standard input", _without_ends("standard input", sys.stdin)
    file = folder / prompts_file
    if not file.is_file():
        raise ValueError(f"no prompts file {file}; give a file with one prompt per line, or - for standard input")
    with file.open(encoding="utf-8") as stream:
        return str(file), _without_ends(str(file), stream)


def _without_ends(name: str, stream: Iterable[str]) -> list[str]:
    try:
        return [line.removesuffix("\n") for line in stream]
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); convert it") from error


def encode_questions(lm: LanguageModel, tasks: Sequence[Task], prompts: Sequence[str],
                     decoding: DecodingConfig) -> list[list[int]]:
    """Token ids of every prompt, all checked before the first is decoded.

    Args:
        lm: the model.
        tasks: where the prompts come from.
        prompts: their texts.
        decoding: says how long a response may be.

    Raises:
        ValueError: a prompt is empty, or leaves no room for the longest response; names its place.
    """
    grain, encoded = position_grain(lm, decoding), []
    for task, prompt in zip(tasks, prompts, strict=True):
        place = task.meta.get(PLACE, f"task {task.id!r}")
        if not prompt:
            raise ValueError(f"{place}: the prompt is empty; write something or remove it")
        ids = encode_prompt(lm, prompt)
        problem = length_problem(lm, ids, decoding.max_gen_length, grain)
        if problem is not None:
            raise ValueError(f"{place}: {problem}")
        encoded.append(ids)
    return encoded


def _line(task: Task, prompt: str, group: Sequence[Rollout], trace: bool) -> str:
    responses: list[dict[str, Any]] = []
    for rollout in group:
        short = {"text": rollout.text, "finish_reason": rollout.finish_reason, "tokens": len(rollout.response_ids),
                 "num_forwards": rollout.num_forwards, "num_cache_forwards": rollout.num_cache_forwards}
        responses.append(short | ({name: vars(rollout)[name] for name in TRACE} if trace else {}))
    return json.dumps({"id": task.id, "question": task.question, "prompt": prompt, "responses": responses},
                      ensure_ascii=False)


@contextmanager
def _sink(out: str | None, show: Say) -> Iterator[Say]:
    """Where lines go: to ``show``, or into a file that is there once all are written."""
    if out is None:
        yield show
        return
    with atomic_file(Path(out)) as staging, staging.open("w", encoding="utf-8") as stream:
        yield lambda line: stream.writelines((line, "\n"))
        stream.flush()


def run_generate(config: GenerateConfig, folder: Path, display: Display, show: Say) -> None:
    """Decode, one batch after the other.

    Args:
        config: model, prompts, decoding, and where the responses go.
        folder: what relative paths of prompts and tasks start from.
        display: for progress, and for a line on empty lines.
        show: is given one JSON text per prompt as soon as its batch is done, unless ``out`` names a file.

    Raises:
        ValueError: anything the user can mend: paths, prompts, settings; before anything is decoded.
    """
    tasks = read_questions(config, folder, display.line)
    lm = load_configured(config.model)
    decoder, rollouts = LocalDecoder(lm), list[Rollout]()
    prompts = [render_prompt(task, lm.family.prompts, config.prompt.template, config.prompt.think) for task in tasks]
    encoded = encode_questions(lm, tasks, prompts, config.decoding)
    size = max(1, config.decoding.batch_size // config.num_samples)
    with _sink(config.out, show) as write, display.bar("generate", len(prompts)) as bar:
        for start in range(0, len(prompts), size):
            batch = slice(start, start + size)
            groups = decoder.generate(encoded[batch], config.decoding, config.num_samples)
            for task, prompt, group in zip(tasks[batch], prompts[batch], groups, strict=True):
                write(_line(task, prompt, group, config.trace))
                rollouts += group if config.records is not None else []
            bar.advance(len(groups))
    if config.records is not None:
        write_records(config.records, rollouts)
