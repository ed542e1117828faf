"""One training run from its first or next step to its last: figures, checkpoints, exports, and how it ends.

What a step does is the loop's business; SFT and RL runs are driven by the same code.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

from dllm_rl.config.run import RunConfig
from dllm_rl.evaluation.display import Display
from dllm_rl.families import LanguageModel
from dllm_rl.training.continuation import Start, facts, find_start
from dllm_rl.training.interrupts import Interrupts
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.random_state import random_tensors, random_values, restore_random, seed_random
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.trackers import Trackers

Figures = dict[str, Any]
"""Numbers by name; a value may be a dictionary of further numbers, or ``None`` where there is none."""


@dataclass(frozen=True)
class Report:
    """What a step tells.

    Attributes:
        figures: for the log.
        note: what stands beside the progress bar.
        samples: texts for ``samples.jsonl``.

    Example: ``Report({"loss": 0.5}, "loss 0.500")``
    """

    figures: Figures
    note: str = ""
    samples: list[Mapping[str, Any]] = field(default_factory=list)


class Loop(Protocol):
    """What is driven. A step must be a function of its number, the weights and the optimiser's state alone."""

    lm: LanguageModel
    optimizer: Optimizer

    def opening(self, display: Display) -> Report:
        """What is told before the first step of a new run."""

    def step(self, number: int) -> Report:
        """Make step ``number``, counted from 0."""


def train(loop: Loop, config: RunConfig, display: Display, title: str) -> Figures:
    """Drive a run to ``max_steps``, or to its time limit, or to a signal.

    Args:
        loop: the run's steps.
        config: how long, where, and what is kept.
        display: for progress.
        title: of the progress bar.

    Returns:
        the last step's figures.

    Raises:
        ValueError: the run cannot be started or gone on with; says why and what to do.
        OSError: something could not be written; the last checkpoint is whole.
        SystemExit: 128 + signal, after the checkpoint of the last step was written.
    """
    run = RunFolder(config.run_dir)
    with run.alone():
        return _train(loop, config, run, display, title)


def _train(loop: Loop, config: RunConfig, run: RunFolder, display: Display, title: str) -> Figures:
    start = find_start(config, run)
    _restore(loop, start, config.seed)
    run.begin(config, start.step)
    runner = _Runner(loop, config, run, display)
    display.line(runner.sizes())
    if start.step:
        display.line(f"going on behind step {start.step} of {config.max_steps}")
    first = start.step + 1 if start.step else 0
    with Interrupts(display.line) as interrupts, closing(Trackers(config.trackers, run.path, first)) as trackers:
        runner.drive(start.step, title, interrupts, trackers)
    return runner.end(interrupts.number)


def _restore(loop: Loop, start: Start, seed: int) -> None:
    if start.state is None:
        seed_random(seed)
    else:
        tensors, values = start.state.tensors, start.state.values
        loop.optimizer.load(tensors["weights"], tensors.get("moments", {}), values["num_updates"])
        restore_random(values["random"], tensors["random"])


class _Runner:
    """A run under way."""

    def __init__(self, loop: Loop, config: RunConfig, run: RunFolder, display: Display) -> None:
        self._loop, self._config, self._run, self._display = loop, config, run, display
        self._begun = time.monotonic()
        self._figures: Figures = {}
        self._step = 0

    def sizes(self) -> str:
        """What the run will put on disk, in words."""
        num = sum(master.numel() for master in self._loop.optimizer.masters().values())
        dtype = self._export_dtype()
        state, export = 12 * num, num * dtype.itemsize
        return (f"{num:,} weights; a checkpoint takes {_size(state)} ({self._config.keep_last} kept, every "
                f"{self._config.checkpoint_every} steps), an export {_size(export)} ({str(dtype).removeprefix('torch.')})")

    def drive(self, start: int, title: str, interrupts: Interrupts, trackers: Trackers) -> None:
        """Make the steps behind ``start``."""
        if start == 0:
            self._tell(0, self._loop.opening(self._display), trackers)
        self._step = start
        with self._display.bar(title, self._config.max_steps, start) as bar:
            while self._step < self._config.max_steps and interrupts.number is None and not self._time_is_up():
                with self._rescued():
                    report = self._loop.step(self._step)
                self._step += 1
                self._tell(self._step, report, trackers)
                bar.advance(note=report.note)
                if self._config.export_every and self._step % self._config.export_every == 0:
                    self._export(self._run.export(self._step))
                if self._step % self._config.checkpoint_every == 0:      # behind the export, which a kill would lose
                    self._save()

    @contextmanager
    def _rescued(self) -> Iterator[None]:
        """Checkpoint the steps made so far if the next one fails before it has changed a weight."""
        before, drawn = self._loop.optimizer.num_updates, (random_values(), random_tensors())

        def rescue(kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None) -> None:
            unchanged = self._loop.optimizer.num_updates == before
            is_failure = kind is not None and issubclass(kind, Exception)
            if is_failure and unchanged and self._step and self._step not in self._run.states.steps():
                restore_random(*drawn)
                self._save()

        with ExitStack() as undo:
            undo.push(rescue)
            yield

    def end(self, signal: int | None) -> Figures:
        """Write what the run leaves, and say how it ended."""
        if self._step and self._step not in self._run.states.steps():
            self._save()
        if self._step < self._config.max_steps:
            self._display.line(f"stopped behind step {self._step} of {self._config.max_steps}; the same command goes on")
            if signal is not None:
                raise SystemExit(128 + signal)
            return self._figures
        self._figures = self._figures or self._run.figures()[-1]      # all steps were made by an earlier process
        self._export(self._run.checkpoint)
        self._run.finish(self._step, self._figures)
        self._display.line(f"model saved in {self._run.checkpoint}")
        return self._figures

    def _tell(self, step: int, report: Report, trackers: Trackers) -> None:
        self._figures = report.figures
        self._run.log(step, report.figures, report.samples)
        trackers.log(report.figures, step)

    def _save(self) -> None:
        optimizer = self._loop.optimizer
        values = {"num_updates": optimizer.num_updates, "facts": facts(), "random": random_values()}
        tensors = {"weights": optimizer.masters(), "moments": optimizer.moments(), "random": random_tensors()}
        self._run.states.write(self._step, values, {name: own for name, own in tensors.items() if own},
                               self._config.keep_last)

    def _export(self, path: Path) -> None:
        dtype = self._export_dtype()
        masters = self._loop.optimizer.masters() if dtype == torch.float32 != self._loop.lm.dtype else None
        self._loop.lm.save(path, dtype, masters=masters)

    def _export_dtype(self) -> torch.dtype:
        dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        return dtypes[self._config.export_dtype] if self._config.export_dtype else self._loop.lm.dtype

    def _time_is_up(self) -> bool:
        limit = self._config.max_minutes
        return limit is not None and time.monotonic() - self._begun >= 60 * limit


def _size(num_bytes: int) -> str:
    """Bytes in words."""
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.2f} MiB"
