"""What a run left in its folder, read back for its report."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

Row = Mapping[str, Any]
Points = list[tuple[float, ...]]


class Trace(BaseModel):
    """One answer and the order in which its tokens were revealed.

    ``pieces`` are the texts of the response tokens, ``steps`` the 1-based number of the forward pass that revealed
    each of them, 0 for never; the numbers may have gaps.

    Example:
        >>> Trace(title="before", question="1+1", gold="2", answer="2", correct=True, prompt="1+1 = ",
        ...       pieces=["2", "<end>"], steps=[1, 1]).passes
        [1]
    """

    model_config = ConfigDict(frozen=True)

    title: str
    question: str
    gold: str | None = None
    answer: str | None = None
    correct: bool
    prompt: str
    pieces: list[str]
    steps: list[int]

    @model_validator(mode="after")
    def _one_step_per_piece(self) -> Self:
        if len(self.pieces) != len(self.steps) or min(self.steps, default=0) < 0:
            raise ValueError(f"{len(self.pieces)} pieces with steps {self.steps}: each piece needs one, 0 or above")
        return self

    @property
    def passes(self) -> list[int]:
        """Numbers of the forward passes that revealed something, in order."""
        return sorted(set(self.steps) - {0})


@dataclass(frozen=True)
class Phase:
    """The figures of a fine-tuning or a reinforcement, one row per logged step, and its configuration."""

    rows: Sequence[Row]
    config: str | None = None

    def points(self, *names: str) -> Points:
        """``(step, value of each name)`` of the rows in which all of them are finite numbers."""
        points: Points = []
        for row in self.rows:
            values = [value for name in names if (value := number(row.get(name))) is not None]
            if len(values) == len(names):
                points.append((row["step"], *values))
        return points

    def last_figures(self) -> dict[str, tuple[float, float]]:
        """``(step, value)`` of the last number of every name, in the order in which the names came up."""
        last: dict[str, tuple[float, float]] = {}
        for row in self.rows:
            for name, value in row.items():
                if name != "step" and (figure := number(value)) is not None:
                    last[name] = (row["step"], figure)
        return last

    def seconds(self) -> dict[str, float]:
        """Total of each ``seconds_NAME`` over all rows, by name."""
        names = [name for name in self.last_figures() if name.startswith("seconds_")]
        return {name.removeprefix("seconds_"): sum(value for _, value in self.points(name)) for name in names}


class Evaluation(NamedTuple):
    """Held-out figures at one moment: shares of correct answers with their 95 % interval, and decoding speed."""

    when: str
    accuracy: float | None
    low: float | None
    high: float | None
    tokens_per_forward: float | None


@dataclass(frozen=True)
class RunData:
    """A run as its report shows it; what the folder did not hold is ``None`` or empty."""

    name: str
    sft: Phase | None = None
    rl: Phase | None = None
    summary: Row = field(default_factory=dict)
    traces: Sequence[Trace] = ()

    def first_and_last(self) -> list[Evaluation]:
        """The evaluations before and after, from the summary or else from the figures; empty if there are not two."""
        if {"accuracy_before", "accuracy_after"} <= self.summary.keys():
            names = ("accuracy_{}", "accuracy_{}_low", "accuracy_{}_high", "tokens_per_forward_{}")
            return [Evaluation(when, *(number(self.summary.get(name.format(when))) for name in names))
                    for when in ("before", "after")]
        rows = [row for row in self.rl.rows if number(row.get("held_out_accuracy")) is not None] if self.rl else []
        names = ("accuracy", "accuracy_low", "accuracy_high", "tokens_per_forward")
        return [Evaluation(f"step {row['step']}", *(number(row.get(f"held_out_{name}")) for name in names))
                for row in (rows[0], rows[-1])] if len(rows) > 1 else []


def number(value: object) -> float | None:
    """A finite number as it is; ``None`` for anything else, truth values too."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def read_run(folder: Path) -> RunData:
    """Read a demo's folder, or the folder of one reinforcement or fine-tuning.

    Raises:
        ValueError: there are no figures in the folder, or one of its files is damaged.
    """
    phases: dict[str, Phase] = {}
    for place in (folder, folder / "sft", folder / "rl"):
        rows = read_rows(place / "metrics.jsonl")
        if kind := _kind(rows):
            phases.setdefault(kind, Phase(rows, _read(place / "config.yaml")))
    if not phases:
        raise ValueError(f"nothing to report in {folder}: no metrics.jsonl with a reward or a loss lies there, in sft/ or "
                         "in rl/; give the run_dir of a run or the folder of a demo")
    return RunData(folder.resolve().name, phases.get("sft"), phases.get("rl"), read_summary(folder / "summary.json"),
                   read_traces(folder / "traces.json"))


def _kind(rows: Sequence[Row]) -> str | None:
    names = {name for row in rows for name in row}
    if names & {"reward", "held_out_accuracy"}:
        return "rl"
    return "sft" if "loss" in names else None


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None


def read_rows(file: Path) -> list[Row]:
    """The rows of a metrics file, none if it is missing; a last line that a killed run left unfinished is left out.

    Raises:
        ValueError: another line is no JSON object with a whole number ``step``.
    """
    lines = (_read(file) or "").split("\n")
    rows = []
    for count, line in enumerate(lines, start=1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif count < len(lines):
            raise ValueError(f"{file}, line {count} is no JSON object with a whole number \"step\": {line[:80]!r}; "
                             "remove the line")
    return rows


def _row(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


def read_summary(file: Path) -> Row:
    """The summary of a demo, empty if it is missing.

    Raises:
        ValueError: the file is no JSON object.
    """
    return _validated(TypeAdapter(dict[str, Any]), file) or {}


def read_traces(file: Path) -> list[Trace]:
    """The traces of a demo, none if the file is missing.

    Raises:
        ValueError: the file is no list of traces.
    """
    return _validated(TypeAdapter(list[Trace]), file) or []


def _validated(kind: TypeAdapter[Any], file: Path) -> Any:  # noqa: ANN401 - what ``kind`` makes
    text = _read(file)
    try:
        return None if text is None else kind.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{file} cannot be read{' at ' + place if place else ''}: {first['msg']}; make it anew or "
                         "remove it") from error
