"""Built-in sums: a task set that needs no file, for demonstrations and tests.

Every choice is a hash, so a task depends on the options alone and is the same on every machine. A problem belongs to
``train`` or ``test`` by a hash of its operands in ascending order: ``12+34`` and ``34+12`` are always on one side.
"""

from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

from dllm_rl.config.options import ArithmeticTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.hashing import hash_numbers

_ENUMERABLE = 65536
"""Problem spaces up to this size are listed in full, so that all of a half can be asked for."""


def arithmetic(options: ArithmeticTaskOptions, folder: Path | None = None) -> list[Task]:
    """Different sums of one split, in an order drawn by the seed.

    Args:
        options: number and size of the sums, split and seed.
        folder: not used; task sets share one signature.

    Returns:
        tasks such as question ``12+34`` with answer ``46``; ids are ``arithmetic/12+34``.

    Raises:
        ValueError: the split has fewer problems than are asked for.
    """
    space = (options.max_operand + 1) ** options.num_operands
    ordered = _listed(options) if space <= max(_ENUMERABLE, 8 * options.num_tasks) else _drawn(options)
    problems = list(islice(ordered, options.num_tasks))
    if len(problems) < options.num_tasks:
        raise ValueError(f"arithmetic has only {len(problems)} {options.split} problems with {options.num_operands} "
                         f"operands up to {options.max_operand}, num_tasks is {options.num_tasks}; "
                         "lower num_tasks or raise max_operand")
    return [_task(operands, options) for operands in problems]


def _listed(options: ArithmeticTaskOptions) -> Iterator[tuple[int, ...]]:
    """All problems of the split, sorted by a seeded hash."""
    every = product(range(options.max_operand + 1), repeat=options.num_operands)
    own = [operands for operands in every if _split(operands) == options.split]
    return iter(sorted(own, key=lambda operands: (hash_numbers(options.seed, *operands), operands)))


def _drawn(options: ArithmeticTaskOptions) -> Iterator[tuple[int, ...]]:
    """Endless different problems of the split, for spaces much larger than what is asked for."""
    seen: set[tuple[int, ...]] = set()
    base = options.max_operand + 1
    draw = 0
    while True:
        operands = tuple(hash_numbers(options.seed, draw, place) % base for place in range(options.num_operands))
        draw += 1
        if operands not in seen and _split(operands) == options.split:
            seen.add(operands)
            yield operands


def _split(operands: tuple[int, ...]) -> str:
    return ("train", "test")[hash_numbers(*sorted(operands)) % 2]


def _task(operands: tuple[int, ...], options: ArithmeticTaskOptions) -> Task:
    width = len(str(options.max_operand)) if options.zero_pad else 0
    answer_width = len(str(options.max_operand * options.num_operands)) if options.zero_pad else 0
    question = "+".join(f"{operand:0{width}d}" for operand in operands)
    return Task(id=f"arithmetic/{question}", question=question, answer=f"{sum(operands):0{answer_width}d}")
