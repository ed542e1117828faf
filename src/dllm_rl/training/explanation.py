"""``dllm-rl explain``: what a run will do and cost, from its configuration, the data and ``config.json`` alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dllm_rl.config.advice import advice, num_updates, old_passes, updates_of_step
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.run import RunConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.evaluation.generation import read_questions
from dllm_rl.evaluation.models import outline_configured
from dllm_rl.families import LanguageModel
from dllm_rl.records import Task
from dllm_rl.tasks import load_tasks
from dllm_rl.training.memory import ModelSizes, decoding_bytes, model_sizes, training_bytes
from dllm_rl.training.pairs import refuse_rl_pairs, refuse_views
from dllm_rl.training.samples import load_samples
from dllm_rl.training.stream import Stream
from dllm_rl.training.workload import (
    MAX_LAID_OUT,
    MAX_PROMPTS,
    Prompts,
    UpdateLayout,
    largest_view,
    lay_out,
    read_prompts,
    rollout_layout,
)
from dllm_rl.views import build_views

BYTES = "bytes"
"""The unit of facts that are shown in KiB, MiB, GiB."""


@dataclass(frozen=True)
class Fact:
    """A name and a value: a plain number, a number of bytes, or a text.

    Example:
        >>> Fact("key/value cache", 1536, BYTES).text
        '1.5 KiB'
    """

    name: str
    value: float | str
    unit: str = ""

    @property
    def key(self) -> str:
        """The name as a key of JSON: ``weights``, counted in bytes, is ``weights_bytes``."""
        return _key(f"{self.name} {self.unit}")

    @property
    def text(self) -> str:
        """The value for people: thousands separated, bytes in the largest unit that they reach."""
        if isinstance(self.value, str):
            return self.value
        if self.unit == BYTES:
            return _human_bytes(self.value)
        return f"{self.value:,.1f}" if isinstance(self.value, float) else f"{self.value:,}"


def _key(title: str) -> str:
    return "_".join("".join(letter if letter.isalnum() else " " for letter in title).split())


def _human_bytes(number: float) -> str:
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:,.{int(units[0] != 'B')}f} {units[0]}"


@dataclass(frozen=True)
class Explanation:
    """What a run will do and cost: titled sections of facts, and sentences of warning."""

    sections: list[tuple[str, list[Fact]]]
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Per section a dictionary of plain values, and the list ``warnings``."""
        return {**{_key(title): {fact.key: fact.value for fact in facts} for title, facts in self.sections},
                "warnings": self.warnings}


def lines(explanation: Explanation) -> list[str]:
    """The explanation as text: a title per section, its facts in two columns, the warnings last."""
    width = max(len(fact.name) for _, facts in explanation.sections for fact in facts)
    shown: list[str] = []
    for title, facts in explanation.sections:
        shown += [title, *(f"  {fact.name:<{width}}  {fact.text}" for fact in facts), ""]
    return shown[:-1] + [""] * bool(explanation.warnings) + [f"warning: {said}" for said in explanation.warnings]


def explain(config: ModelCommandConfig, folder: Path) -> Explanation:
    """What ``generate``, ``eval``, ``sft`` or ``rl`` would do with a configuration, and what it would cost.

    Args:
        config: of one of these commands.
        folder: what relative paths of data and of the user's own objects start from.

    Raises:
        ValueError: what would stop the run before its first pass: no checkpoint, unreadable data, unknown names.
    """
    return _EXPLAINERS[type(config)](config, folder, outline_configured(config.model))


def _explain_rl(config: RlConfig, folder: Path, lm: LanguageModel) -> Explanation:
    refuse_rl_pairs(config, lm.family)
    sizes, rollout, held_out = model_sizes(lm), config.rollout, config.evaluation
    tasks = load_tasks(config.tasks.name, config.tasks.options, folder)
    judged = load_tasks(held_out.tasks.name, held_out.tasks.options, folder)
    first = Stream(tasks, config.seed).take(0, min(MAX_PROMPTS, len(tasks)))
    prompts = read_prompts(lm, first, config.prompt, rollout.decoding)
    others = read_prompts(lm, judged[:MAX_PROMPTS], config.prompt, held_out.decoding)
    layout = rollout_layout(config, folder, lm, prompts.ids)
    responses, answers = rollout.num_task_per_step * rollout.num_response_per_task, len(judged) * held_out.num_samples
    data = [*_prompt_facts("tasks", len(tasks), prompts), Fact("steps per pass", len(tasks) / rollout.num_task_per_step),
            Fact("held-out tasks", len(judged)), Fact("held-out responses", answers),
            Fact("evaluations", 1 + -(-config.max_steps // held_out.every))]
    step = [Fact("tasks", rollout.num_task_per_step), Fact("responses", responses),
            Fact("response tokens, at most", responses * rollout.decoding.max_gen_length),
            Fact("updates, at most", updates_of_step(config)),
            Fact("passes for old log-probabilities", old_passes(config)),
            Fact("tokens forwarded by updates", layout.num_tokens * updates_of_step(config)),
            Fact("tokens forwarded without gradients", layout.num_tokens * _updates_without_gradients(config))]
    update = [*_layout_facts("responses, at most", layout),
              Fact("tokens as one row per view", layout.num_row_tokens)]
    flying = config.engine.max_num_seqs
    decoding = max((_decoding(sizes, rollout.decoding, prompts, min(flying, responses)),
                    _decoding(sizes, held_out.decoding, others, min(flying, answers))),
                   key=lambda parts: sum(parts.values()))
    warnings = [*_prompt_warnings("prompts", prompts), *_prompt_warnings("held-out prompts", others),
                *_layout_warnings(config, layout.needed, "a response of the largest length")]
    if len(tasks) < rollout.num_task_per_step:
        warnings.append(f"a step takes {rollout.num_task_per_step} tasks and there are {len(tasks)}: tasks occur more than "
                        "once in a step; lower rollout.num_task_per_step")
    return Explanation([_model(lm, sizes), ("data", data), ("step", step), ("first update", update),
                        *_training(config, sizes, layout, decoding)], advice(config) + warnings)


def _updates_without_gradients(config: RlConfig) -> int:
    """Updates' worth of tokens in passes without gradients: for old log-probabilities, and to pool targets."""
    of_old = old_passes(config) * updates_of_step(config) // config.num_train_epochs
    return of_old + updates_of_step(config) * (config.importance_level != "target")


def _explain_sft(config: SftConfig, folder: Path, lm: LanguageModel) -> Explanation:
    refuse_views(config.views, lm.family)
    sizes, samples = model_sizes(lm), load_samples(config, lm, folder)
    lengths = [len(sample.prompt_ids) + len(sample.response_ids) for sample in samples]
    first = Stream(samples, config.seed).take(0, min(MAX_LAID_OUT, config.batch_size))
    longest = samples[lengths.index(max(lengths))]
    views = build_views(config.views.name, [*first, longest], seed=config.seed, folder=folder,
                        block_size=lm.training_blocks, pad_token_id=lm.pad_token_id, **config.views.option_values())
    layout = lay_out(lm, first, views[:-1], config.max_tokens_per_micro_batch, config.batch_size)
    data = [Fact("samples", len(samples)), Fact("tokens per sample, mean", sum(lengths) / len(lengths)),
            Fact("tokens per sample, largest", max(lengths)), Fact("updates per pass", len(samples) / config.batch_size)]
    warnings = _layout_warnings(config, max(layout.needed, largest_view(lm, [longest], views[-1:])), "a sample")
    too_long = sum(length > sizes.positions for length in lengths)
    if too_long:
        warnings.append(f"{too_long} of {len(samples)} samples are longer than the model's {sizes.positions} positions; "
                        "shorten them or leave them out")
    return Explanation([_model(lm, sizes), ("data", data), ("first update", _layout_facts("samples", layout)),
                        *_training(config, sizes, layout, {})], advice(config) + warnings)


def _explain_eval(config: EvalConfig, folder: Path, lm: LanguageModel) -> Explanation:
    tasks = load_tasks(config.tasks.name, config.tasks.options, folder)
    return _explain_answers(config, lm, tasks, config.engine.max_num_seqs)


def _explain_generate(config: GenerateConfig, folder: Path, lm: LanguageModel) -> Explanation:
    return _explain_answers(config, lm, read_questions(config, folder), config.decoding.batch_size)


def _explain_answers(config: EvalConfig | GenerateConfig, lm: LanguageModel, tasks: Sequence[Task],
                     flying: int) -> Explanation:
    sizes, responses = model_sizes(lm), len(tasks) * config.num_samples
    prompts = read_prompts(lm, tasks[:MAX_PROMPTS], config.prompt, config.decoding)
    data = [*_prompt_facts("prompts", len(tasks), prompts), Fact("responses", responses),
            Fact("response tokens, at most", responses * config.decoding.max_gen_length)]
    parts = {"weights": sizes.weights, **_decoding(sizes, config.decoding, prompts, min(flying, responses))}
    return Explanation([_model(lm, sizes), ("data", data), _memory(parts, sum(parts.values()))],
                       advice(config) + _prompt_warnings("prompts", prompts))


_EXPLAINERS: dict[type[ModelCommandConfig], Callable[[Any, Path, LanguageModel], Explanation]] = {
    RlConfig: _explain_rl, SftConfig: _explain_sft, EvalConfig: _explain_eval, GenerateConfig: _explain_generate}


def _model(lm: LanguageModel, sizes: ModelSizes) -> tuple[str, list[Fact]]:
    return "model", [
        Fact("family", lm.family.name), Fact("parameters", sizes.parameters), Fact("layers", sizes.layers),
        Fact("hidden size", sizes.hidden), Fact("vocabulary", sizes.vocabulary), Fact("positions", sizes.positions),
        Fact("block size", "none" if lm.block_size is None else lm.block_size)]


def _prompt_facts(what: str, total: int, prompts: Prompts) -> list[Fact]:
    seen = len(prompts.ids) + prompts.too_long
    sampled = [] if seen == total else [Fact("of which tokenised, as a sample", seen)]
    return [Fact(what, total), *sampled, Fact("prompt tokens, mean", prompts.mean),
            Fact("prompt tokens, largest", prompts.largest), Fact("prompts too long", prompts.too_long)]


def _prompt_warnings(what: str, prompts: Prompts) -> list[str]:
    seen = len(prompts.ids) + prompts.too_long
    return [f"{prompts.too_long} of {seen} {what} leave no room for max_gen_length within the model's positions; they "
            "cannot be answered: shorten them or lower max_gen_length"] * bool(prompts.too_long)


def _layout_facts(what: str, layout: UpdateLayout) -> list[Fact]:
    laid_out = [] if layout.num_laid_out == layout.num_samples else [
        Fact("of which laid out, the rest in proportion", layout.num_laid_out)]
    return [Fact(what, layout.num_samples), *laid_out, Fact("views", layout.num_views), Fact("tokens", layout.num_tokens),
            Fact("micro-batches", layout.num_packs), Fact("tokens of the largest micro-batch", layout.pack_tokens)]


def _layout_warnings(config: RunConfig, needed: int, what: str) -> list[str]:
    budget = config.max_tokens_per_micro_batch
    return [f"one view of {what} takes {needed} tokens, more than max_tokens_per_micro_batch={budget}, which would stop "
            f"the run; raise it to at least {needed}"] * (needed > budget)


def _decoding(sizes: ModelSizes, decoding: DecodingConfig, prompts: Prompts, num_rows: int) -> dict[str, int]:
    return decoding_bytes(sizes, decoding, num_rows, prompts.slots, prompts.block_size)


def _training(config: RunConfig, sizes: ModelSizes, layout: UpdateLayout,
              decoding: dict[str, int]) -> list[tuple[str, list[Fact]]]:
    """Sections that every training run has: its memory, its length, what it writes."""
    parts, peak = training_bytes(sizes, config.model.device, layout.pack_tokens, layout.pack_targets)
    held = sizes.weights + parts["optimiser"]
    kept = [Fact("folder", config.run_dir), Fact("steps", config.max_steps), Fact("updates, at most", num_updates(config)),
            Fact("one checkpoint to go on from", sizes.checkpoint, BYTES), Fact("one export", sizes.weights, BYTES)]
    return [_memory({"weights": sizes.weights, **parts, **decoding}, max(peak, held + sum(decoding.values()))),
            ("run", kept)]


def _memory(parts: dict[str, int], peak: int) -> tuple[str, list[Fact]]:
    return "memory", [*(Fact(name, number, BYTES) for name, number in parts.items()), Fact("peak", peak, BYTES)]
