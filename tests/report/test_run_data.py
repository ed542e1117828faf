"""Reading back what a run left."""

import json
from pathlib import Path

import pytest

from dllm_rl.report.run_data import Evaluation, Phase, RunData, Trace, number, read_rows, read_run, read_traces

TRACE = {"title": "before", "question": "1+1", "gold": "2", "answer": None, "correct": False, "prompt": "1+1 = ",
         "pieces": ["2", "<end>", "x"], "steps": [7, 3, 0]}


def write(file: Path, *rows: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_points_are_the_rows_with_all_names_as_finite_numbers() -> None:
    rows = [{"step": 1, "a": 0.5, "b": 2}, {"step": 2, "a": None, "b": 1}, {"step": 3, "a": float("nan"), "b": 1},
            {"step": 4, "a": True, "b": 1}, {"step": 5, "a": [1], "b": 1}, {"step": 6, "b": 1}, {"step": 7, "a": 1}]
    assert Phase(rows).points("a") == [(1, 0.5), (7, 1)]
    assert Phase(rows).points("a", "b") == [(1, 0.5, 2)]
    assert Phase(rows).points("never logged") == []


@pytest.mark.parametrize(("value", "expected"), [
    (0, 0), (-1.5, -1.5), (True, None), (None, None), ("1", None), (float("inf"), None), ({"x": 1}, None)])
def test_number(value: object, expected: float | None) -> None:
    assert number(value) == expected


def test_last_figures_and_seconds() -> None:
    phase = Phase([{"step": 1, "loss": 3.0, "seconds_update": 1.5, "early": 1},
                   {"step": 2, "loss": None, "seconds_update": 2.0, "seconds_rollout": 0.25, "by_ratio": {"0": 1}}])
    assert phase.last_figures() == {"loss": (1, 3.0), "seconds_update": (2, 2.0), "early": (1, 1),
                                    "seconds_rollout": (2, 0.25)}
    assert phase.seconds() == {"update": 3.5, "rollout": 0.25}


def test_each_kind_of_folder_is_told_by_its_figures(tmp_path: Path) -> None:
    write(tmp_path / "demo/sft/metrics.jsonl", {"step": 1, "loss": 2.0})
    write(tmp_path / "demo/rl/metrics.jsonl", {"step": 0, "held_out_accuracy": 0.5}, {"step": 1, "reward": 1, "loss": 0})
    (tmp_path / "demo/rl/config.yaml").write_text("beta: 0.01\n")
    write(tmp_path / "demo/summary.json", {"seed": 0})
    (tmp_path / "demo/traces.json").write_text(json.dumps([TRACE]))
    demo = read_run(tmp_path / "demo")
    assert demo.name == "demo" and demo.summary == {"seed": 0} and demo.traces == [Trace(**TRACE)]
    assert demo.sft == Phase([{"step": 1, "loss": 2.0}]) and demo.rl is not None
    assert demo.rl.config == "beta: 0.01\n" and [row["step"] for row in demo.rl.rows] == [0, 1]
    assert read_run(tmp_path / "demo/sft").rl is None and read_run(tmp_path / "demo/rl").sft is None


@pytest.mark.parametrize("rows", [[], [{"step": 1, "other": 1}]])
def test_a_folder_without_figures_is_named(tmp_path: Path, rows: list[dict]) -> None:
    write(tmp_path / "metrics.jsonl", *rows)
    with pytest.raises(ValueError, match=f"nothing to report in {tmp_path}: no metrics.jsonl with a reward or a loss"):
        read_run(tmp_path)


def test_only_the_last_line_may_be_unfinished(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 2}\n{"step": 2, "lo')
    assert read_rows(file) == [{"step": 1, "loss": 2}]
    file.write_text('{"step": 1, "loss": 2}')
    assert read_rows(file) == [{"step": 1, "loss": 2}]
    assert read_rows(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[1]", '{"loss": 1}', '{"step": "2"}', '{"step": true}', ""])
def test_another_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "metrics.jsonl"
    for rest in ("", '{"step": 3}\n'):
        file.write_text(f'{{"step": 1}}\n{line}\n{rest}')
        with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2 is no JSON object with a whole number \"step\""):
            read_rows(file)


def test_evaluations_come_from_the_summary_or_else_from_the_figures() -> None:
    rl = Phase([{"step": 0, "held_out_accuracy": 0.25, "held_out_accuracy_low": 0.125, "held_out_accuracy_high": 0.5},
                {"step": 1, "reward": 1},
                {"step": 2, "held_out_accuracy": 0.75, "held_out_tokens_per_forward": 2.5}])
    expected = [Evaluation("step 0", 0.25, 0.125, 0.5, None), Evaluation("step 2", 0.75, None, None, 2.5)]
    assert RunData("x", rl=rl).first_and_last() == expected
    assert RunData("x", rl=rl, summary={"accuracy_after": 1}).first_and_last() == expected
    summary = {"accuracy_before": 0.5, "accuracy_after": 1, "accuracy_after_low": 0.9, "tokens_per_forward_before": 3}
    assert RunData("x", rl=rl, summary=summary).first_and_last() == [
        Evaluation("before", 0.5, None, None, 3), Evaluation("after", 1, 0.9, None, None)]
    assert RunData("x", rl=Phase(rl.rows[:2])).first_and_last() == []
    assert RunData("x", sft=rl).first_and_last() == []


def test_passes_skip_gaps_and_tokens_never_revealed() -> None:
    assert Trace(**TRACE).passes == [3, 7]


@pytest.mark.parametrize(("change", "message"), [
    ({"steps": [1, 2]}, "3 pieces with steps"), ({"steps": [1, 2, -1]}, "needs one, 0 or above"),
    ({"pieces": "2"}, "cannot be read at 0.pieces"), ({"correct": None}, "cannot be read at 0.correct")])
def test_a_damaged_trace_is_named(tmp_path: Path, change: dict, message: str) -> None:
    file = tmp_path / "traces.json"
    file.write_text(json.dumps([TRACE | change]))
    with pytest.raises(ValueError, match=message) as error:
        read_traces(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    write(tmp_path / "metrics.jsonl", {"step": 1, "loss": 1})
    for text in ("{", "[]"):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(ValueError, match=r"summary\.json cannot be read: .*; make it anew or remove it"):
            read_run(tmp_path)
