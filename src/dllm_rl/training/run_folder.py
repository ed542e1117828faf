"""The folder of a run: its resolved configuration, its figures and sample texts, its checkpoints and exports."""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from dllm_rl.config.base import Options
from dllm_rl.config.loading import dump_yaml
from dllm_rl.records.atomic import remove_partial, write_text
from dllm_rl.training.states import StateStore


class RunFolder:
    """``config.yaml``, ``metrics.jsonl``, ``samples.jsonl``, ``state/``, ``exports/``, ``checkpoint/``, ``result.json``.

    ``checkpoint/`` is the trained model in its published format, and ``result.json`` says at which step it was made.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is made yet."""
        self.path = Path(path)
        self.states = StateStore(self.path / "state")
        self._metrics, self._samples = self.path / "metrics.jsonl", self.path / "samples.jsonl"
        self._config, self._result = self.path / "config.yaml", self.path / "result.json"

    @property
    def checkpoint(self) -> Path:
        """Where the trained model is put, in its published format."""
        return self.path / "checkpoint"

    def export(self, step: int) -> Path:
        """Where an export on the way is put."""
        return self.path / "exports" / f"step-{step:06d}"

    def holds_a_run(self) -> bool:
        """Whether a run has begun here."""
        return self._config.exists() or self._metrics.exists()

    def config(self) -> dict[str, Any] | None:
        """The configuration the run was last started with, as plain values."""
        return yaml.safe_load(self._config.read_text()) if self._config.exists() else None

    def result(self) -> dict[str, Any] | None:
        """``{"step": ..., "figures": ...}`` of the trained model in ``checkpoint/``; ``None`` if there is none."""
        return json.loads(self._result.read_text()) if self._result.exists() else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes on this machine out while the context lasts; the lock goes with the process.

        Raises:
            ValueError: another process is at work here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another process is running in {self.path}; wait for it, or give another "
                                 "run_dir") from error
            yield

    def begin(self, config: Options, step: int) -> None:
        """Start, or go on behind ``step``: later figures and half-written files of an earlier process are removed."""
        self.path.mkdir(parents=True, exist_ok=True)
        remove_partial(self.path)
        self.states.clean()
        kept = {file: _lines_up_to(file, step) if step else [] for file in (self._metrics, self._samples)}
        if step and [number for number, _ in kept[self._metrics]] != list(range(step + 1)):
            raise ValueError(f"{self._metrics} does not hold steps 0 to {step} in order, so the run cannot go on with it; "
                             "restore the file, or give another run_dir")
        write_text(self._config, dump_yaml(config))
        for file, lines in kept.items():
            write_text(file, "".join(line for _, line in lines))

    def copy_figures(self, other: "RunFolder") -> None:
        """Take over another run's figures and sample texts."""
        for file, theirs in ((self._metrics, other._metrics), (self._samples, other._samples)):
            write_text(file, "".join(_complete_lines(theirs)))

    def log(self, step: int, figures: Mapping[str, Any], samples: Sequence[Mapping[str, Any]] = ()) -> None:
        """Append the figures of a step, and sample texts."""
        _append(self._metrics, [{"step": step, **figures}])
        _append(self._samples, [{"step": step, **sample} for sample in samples])

    def figures(self) -> list[dict[str, Any]]:
        """Every line of figures so far."""
        return [json.loads(line) for line in _complete_lines(self._metrics)]

    def finish(self, step: int, figures: Mapping[str, Any]) -> None:
        """Note that ``checkpoint/`` is the model after ``step``."""
        write_text(self._result, json.dumps({"step": step, "figures": dict(figures)}, indent=2) + "\n")


def _lines_up_to(file: Path, step: int) -> list[tuple[int, str]]:
    """Complete lines with their steps, those of later steps left out."""
    numbered = []
    for place, line in enumerate(_complete_lines(file), 1):
        try:
            number = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}, line {place} is damaged ({error}); restore it, or give another run_dir") from error
        if number <= step:
            numbered.append((number, line))
    return numbered


def _append(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        with file.open("a") as stream:
            stream.write("".join(json.dumps(dict(row)) + "\n" for row in rows))


def _complete_lines(file: Path) -> list[str]:
    """The lines of a file, without a last one that a killed process left unfinished."""
    return [line + "\n" for line in file.read_text().split("\n")[:-1]] if file.exists() else []
