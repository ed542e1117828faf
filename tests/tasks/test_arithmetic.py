"""Built-in sums: right, reproducible, and no test problem in training."""

import random

import pytest

from dllm_rl.config.options import ArithmeticTaskOptions
from dllm_rl.records import Task
from dllm_rl.tasks.arithmetic import arithmetic

SMALL = {"max_operand": 9, "num_tasks": 39}
LARGE = {"max_operand": 999, "num_operands": 3, "num_tasks": 2000}


def sums(**options: object) -> list[Task]:
    """Tasks with these options."""
    return arithmetic(ArithmeticTaskOptions(**options))


def problems(tasks: list[Task]) -> set[tuple[str, ...]]:
    """Operands without their order."""
    return {tuple(sorted(task.question.split("+"))) for task in tasks}


def test_exact_tasks() -> None:
    assert [(task.id, task.question, task.answer, task.kind) for task in sums(max_operand=9, num_tasks=2)] == [
        ("arithmetic/9+9", "9+9", "18", "math"), ("arithmetic/0+6", "0+6", "6", "math")]
    assert sums(**LARGE)[0].question == "216+204+374"  # the same on every machine: nothing but hashes


@pytest.mark.parametrize("options", [SMALL, LARGE])
def test_every_answer_is_the_sum_and_ids_differ(options: dict[str, int]) -> None:
    tasks = sums(**options)
    assert len({task.id for task in tasks}) == options["num_tasks"]
    for task in tasks:
        operands = [int(part) for part in task.question.split("+")]
        assert str(sum(operands)) == task.answer
        assert max(operands) <= options["max_operand"]


@pytest.mark.parametrize("options", [{"max_operand": 9, "num_tasks": 39}, {"num_tasks": 4960}, LARGE])
def test_splits_share_no_problem_in_any_order(options: dict[str, int]) -> None:
    train, test = (problems(sums(split=split, **options)) for split in ("train", "test"))
    other_seed = problems(sums(split="test", seed=5, **options))
    assert not train & (test | other_seed)


def test_splits_cover_all_problems() -> None:
    both = sums(num_tasks=5040) + sums(num_tasks=4960, split="test")
    assert len({task.id for task in both}) == 100 * 100


@pytest.mark.parametrize("options", [SMALL, LARGE])
def test_tasks_depend_on_the_options_alone(options: dict[str, int]) -> None:
    first = sums(**options)
    random.seed(7)
    state = random.getstate()
    assert sums(**options) == first
    assert random.getstate() == state
    assert sums(seed=1, **options) != first
    assert sums(**options | {"num_tasks": 10}) == first[:10]


def test_zero_padding_changes_the_writing_alone() -> None:
    plain, padded = sums(num_tasks=200), sums(num_tasks=200, zero_pad=True)
    assert {(len(task.question), len(task.answer or "")) for task in padded} == {(5, 3)}
    for one, other in zip(plain, padded, strict=True):
        assert [int(part) for part in one.question.split("+")] == [int(part) for part in other.question.split("+")]
        assert int(one.answer or "") == int(other.answer or "")


def test_too_many_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"only 39 train problems .* num_tasks is 40; lower num_tasks or raise"):
        sums(max_operand=9, num_tasks=40)
