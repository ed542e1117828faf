"""``dllm-rl eval`` as a whole command: figures of one setting, and of several side by side."""

import json
from pathlib import Path

import pytest

from dllm_rl.cli import main
from dllm_rl.evaluation.summary import Summary
from dllm_rl.training import demo

TWO = "settings=[{name: static, remasking_strategy: low_confidence_static, top_k: 1}, {name: dynamic}]"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A tiny model on a few sudokus."""
    path = tmp_path_factory.mktemp("model") / "start"
    demo.create_tiny_model(path, seed=1)
    return ["eval", f"model.path={path}", "tasks={name: sudoku, num_tasks: 5, num_empty: 4}", "decoding.max_gen_length=20",
            "prompt.template='{problem}>'", "reward={name: exact, answer: text}", "--quiet"]


def test_one_setting_is_a_flat_object(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main([*arguments, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == list(Summary.__dataclass_fields__)
    assert (figures["num_answers"], figures["string_accuracy"]) == (5, None)


def test_several_settings_are_objects_by_name(arguments: list[str], tmp_path: Path,
                                              capsys: pytest.CaptureFixture) -> None:
    assert main([*arguments, TWO, "--json", f"out={tmp_path / 'a.parquet'}"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["static", "dynamic"]
    assert all(figures[name]["num_answers"] == 5 for name in figures)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dynamic.parquet", "a.static.parquet"]


def test_several_settings_are_columns_of_a_table(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main([*arguments, TWO]) == 0
    printed = capsys.readouterr().out
    head, row = (next(line.split() for line in printed.splitlines() if name in line.split())
                 for name in ("static", "num_answers"))
    assert [head[head.index("static")], head[-2]] == ["static", "dynamic"]
    assert row.count("5") == 2


def test_a_wrong_key_of_a_setting_is_named(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main([*arguments, "settings=[{name: a, topk: 1}]"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: command line: settings.topk is no option of setting 'a'; did you mean 'top_k'?")
