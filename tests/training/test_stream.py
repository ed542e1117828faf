"""Every task once per pass, in an order that the seed alone decides."""

from dllm_rl.records import Task
from dllm_rl.training.stream import Stream

TASKS = [Task(str(number), "?") for number in range(7)]


def ids(seed: int, start: int, count: int) -> list[str]:
    return [task.id for task in Stream(TASKS, seed).take(start, count)]


def test_each_pass_holds_every_task_once() -> None:
    taken = ids(3, 0, 21)
    for start in (0, 7, 14):
        assert sorted(taken[start:start + 7]) == sorted(task.id for task in TASKS)
    assert taken[:7] != taken[7:14]


def test_a_place_is_all_the_state() -> None:
    assert ids(3, 5, 10) == ids(3, 0, 15)[5:]
    assert ids(3, 0, 7) != ids(4, 0, 7)
