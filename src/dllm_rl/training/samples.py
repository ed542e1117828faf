"""Samples to fine-tune on: from tasks with gold answers, or from a file of prompts and responses."""

from pathlib import Path

from pydantic import Field

from dllm_rl.config.base import Options, read_options
from dllm_rl.config.sft import SftConfig
from dllm_rl.families import LanguageModel
from dllm_rl.records import Sample
from dllm_rl.tasks import load_tasks
from dllm_rl.tasks.prompts import render_prompt
from dllm_rl.tasks.reading import read_rows


class SampleLine(Options):
    """One entry of an SFT file, as upstream writes it."""

    prompt: str = Field(min_length=1, description="Rendered prompt.")
    response: str = Field(min_length=1, description="Response, its end token included.")
    step_map: list[int] | None = Field(None, description="Per response token the step that revealed it.")


def turn_end(lm: LanguageModel) -> list[int]:
    """The token that ends a response: the family's turn end, or eos; empty if the model has neither."""
    ends = [token for token in lm.stop_token_ids if token != lm.eos_token_id]
    return (ends or lm.stop_token_ids)[:1]


def load_samples(config: SftConfig, lm: LanguageModel, folder: Path) -> list[Sample]:
    """All samples of a fine-tuning run, tokenised.

    Raises:
        ValueError: no tokenizer, a task without an answer, or a damaged line of the file.
    """
    if lm.tokenizer is None:
        raise ValueError("fine-tuning needs a tokenizer; the checkpoint folder has none")
    if config.data is not None:
        return _from_file(config, lm, folder / config.data)
    assert config.tasks is not None      # SftConfig takes exactly one of tasks and data
    samples = []
    for task in load_tasks(config.tasks.name, config.tasks.options, folder):
        if task.answer is None:
            raise ValueError(f"task {task.id!r} has no gold answer to learn")
        prompt = render_prompt(task, lm.family.prompts, config.prompt.template, config.prompt.think)
        samples.append(_tokenise(lm, prompt, task.answer, None, config.append_end))
    return samples


def _from_file(config: SftConfig, lm: LanguageModel, file: Path) -> list[Sample]:
    samples = []
    for row in read_rows(file):
        try:
            line = read_options(SampleLine, row.fields, "a sample")
            samples.append(_tokenise(lm, line.prompt, line.response, line.step_map, config.append_end))
        except ValueError as error:
            raise row.error(str(error)) from error
    return samples


def _tokenise(lm: LanguageModel, prompt: str, response: str, steps: list[int] | None, append_end: bool) -> Sample:
    assert lm.tokenizer is not None      # checked by load_samples
    prompt_ids, ids = (lm.tokenizer.encode(text, add_special_tokens=False) for text in (prompt, response))
    end = turn_end(lm) if append_end and ids[-1:] != turn_end(lm) else []
    later = None if steps is None else steps + [max(steps) + 1] * len(end)
    return Sample(prompt_ids, ids + end, later)
