"""Built-in 4x4 sudokus: a task set that needs no file, and one where the order in which cells are filled matters.

A grid holds the digits 1 to 4 once in every row, column and 2x2 box; there are 288. It is written row by row as 16
characters, with ``0`` for an empty cell, so that all questions and all answers are equally long. Every choice is a hash,
so a task depends on the options alone. A puzzle belongs to ``train`` or ``test`` by a hash of its solved grid.
"""

from collections.abc import Iterator
from itertools import combinations, islice, permutations
from pathlib import Path

from dllm_rl.config.options import SudokuTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.hashing import hash_numbers

_DIGITS = "1234"
_CELLS = range(16)

_Cells = frozenset[int]


def sudoku(options: SudokuTaskOptions, folder: Path | None = None) -> list[Task]:
    """Different puzzles of one split, in an order drawn by the seed; each has exactly one solution.

    Args:
        options: number of puzzles and of empty cells, split and seed.
        folder: not used; task sets share one signature.

    Returns:
        tasks such as question ``3102200002100320`` with answer ``3142243142131324``; ids are ``sudoku/`` and the
        question. Grids take turns, so that answers repeat as seldom as they can.

    Raises:
        ValueError: the split has fewer puzzles than are asked for.
    """
    tasks = list(islice(_puzzles(options), options.num_tasks))
    if len(tasks) < options.num_tasks:
        raise ValueError(f"sudoku has only {len(tasks)} {options.split} puzzles with {options.num_empty} empty cells, "
                         f"num_tasks is {options.num_tasks}; lower num_tasks or choose another num_empty")
    return tasks


def _puzzles(options: SudokuTaskOptions) -> Iterator[Task]:
    """Every puzzle of the split once: each round takes another set of cells out of each grid."""
    every = solved_grids()
    own = sorted((grid for grid in every if _split(grid) == options.split),
                 key=lambda grid: hash_numbers(options.seed, int(grid)))
    differing = {grid: [_differing(grid, other) for other in every if other != grid] for grid in own}
    cells = sorted(combinations(_CELLS, options.num_empty), key=lambda cells: hash_numbers(options.seed, *cells))
    for number in range(len(cells)):
        for grid in own:
            empty = frozenset(cells[(number + hash_numbers(int(grid))) % len(cells)])
            if not any(places <= empty for places in differing[grid]):
                yield _task(grid, empty)


def solved_grids() -> list[str]:
    """All 288 solved grids, 16 digits each, in ascending order."""
    rows = ["".join(row) for row in permutations(_DIGITS)]
    grids = [""]
    for _ in _DIGITS:
        grids = [grid + row for grid in grids for row in rows if _fits(grid, row)]
    return grids


def _fits(grid: str, row: str) -> bool:
    """Whether a row may follow the rows of ``grid``: no digit twice in a column, nor in a box that it completes."""
    columns = all(row[place % 4] != digit for place, digit in enumerate(grid))
    above = grid[-4:] if len(grid) % 8 == 4 else ""
    return columns and not set(above[:2]) & set(row[:2]) and not set(above[2:]) & set(row[2:])


def _differing(grid: str, other: str) -> _Cells:
    """Cells in which two grids differ. Where all of them are empty, the puzzle has both as solutions."""
    return frozenset(cell for cell in _CELLS if grid[cell] != other[cell])


def _split(grid: str) -> str:
    return ("train", "test")[hash_numbers(int(grid)) % 2]


def _task(grid: str, empty: _Cells) -> Task:
    question = "".join("0" if cell in empty else grid[cell] for cell in _CELLS)
    return Task(id=f"sudoku/{question}", question=question, answer=grid)
