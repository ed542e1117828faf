"""Built-in sudokus: legal, with one solution, reproducible, and no test grid in training."""

import random

import pytest
from pydantic import ValidationError

from dllm_rl.config.options import SudokuTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.sudoku import solved_grids, sudoku

UNITS = [
    *([4 * row + column for column in range(4)] for row in range(4)),
    *([4 * row + column for row in range(4)] for column in range(4)),
    *([4 * row + column for row in (top, top + 1) for column in (left, left + 1)] for top in (0, 2) for left in (0, 2)),
]


def puzzles(**options: object) -> list[Task]:
    """Tasks with these options."""
    return sudoku(SudokuTaskOptions(**options))


def solutions(question: str) -> list[str]:
    """Every solution, by trying all digits in the first empty cell."""
    cell = question.find("0")
    if cell < 0:
        return [question]
    seen = {question[other] for unit in UNITS if cell in unit for other in unit}
    return [answer for digit in "1234" if digit not in seen
            for answer in solutions(question[:cell] + digit + question[cell + 1:])]


def test_exact_tasks() -> None:
    assert [(task.id, task.question, task.answer, task.kind) for task in puzzles(num_tasks=2)] == [
        ("sudoku/3204000223014023", "3204000223014023", "3214143223414123", "math"),
        ("sudoku/3004421320300302", "3004421320300302", "3124421324311342", "math")]
    assert puzzles(num_empty=12, split="test", seed=3)[999].question == "0100000100030200"


def test_there_are_288_grids() -> None:
    assert solved_grids() == sorted(solutions("0" * 16))
    assert len(solved_grids()) == 288


@pytest.mark.parametrize("num_empty", range(1, 13))
def test_every_puzzle_has_one_solution_and_the_number_of_empty_cells(num_empty: int) -> None:
    for task in puzzles(num_empty=num_empty, num_tasks=40):
        assert len(task.question) == 16 and task.question.count("0") == num_empty
        assert solutions(task.question) == [task.answer]


def test_grids_of_train_and_test_are_disjoint_and_all_are_used() -> None:
    train, test = ({task.answer for task in puzzles(split=split)} for split in ("train", "test"))
    assert not train & test and sorted(train | test) == solved_grids()
    assert {task.answer for task in puzzles(seed=9, num_empty=10)} <= train


def test_all_puzzles_can_be_asked_for_and_no_more() -> None:
    sizes = {}
    for split in ("train", "test"):
        with pytest.raises(ValueError, match=rf"has only \d+ {split} puzzles with 1 empty cells, num_tasks is 9999; lower"):
            puzzles(split=split, num_empty=1, num_tasks=9999)
        sizes[split] = 16 * len({task.answer for task in puzzles(split=split)})
        assert len({task.id for task in puzzles(split=split, num_empty=1, num_tasks=sizes[split])}) == sizes[split]
    assert sum(sizes.values()) == 288 * 16


def test_tasks_depend_on_the_options_alone() -> None:
    first = puzzles(num_tasks=60)
    random.seed(7)
    state = random.getstate()
    assert puzzles(num_tasks=60) == first
    assert random.getstate() == state
    assert puzzles(num_tasks=60, seed=1) != first
    assert puzzles(num_tasks=10) == first[:10]


@pytest.mark.parametrize("num_empty", [0, 13])
def test_too_few_and_too_many_empty_cells_are_refused(num_empty: int) -> None:
    with pytest.raises(ValidationError, match="num_empty"):
        SudokuTaskOptions(num_empty=num_empty)
