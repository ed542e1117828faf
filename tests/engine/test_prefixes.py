"""Which beginnings of prompts are read once."""

from dllm_rl.engine.prefixes import Known, Prefixes


def test_the_longest_common_blocks_are_found() -> None:
    prefixes = Prefixes(2)
    assert list(prefixes.plan([0, 1], [[1, 2, 3, 4], [1, 2, 9, 4]])) == [[Known(0, 0, None)], [Known(1, 2, 0)]]
    assert list(prefixes.plan([2], [[1, 2, 9, 4, 5, 6]])) == [[Known(2, 4, 1)]]
    assert list(prefixes.plan([3], [[1, 3]])) == [[Known(3, 0, None)]]          # half a block is none


def test_samples_of_a_group_wait_for_its_first() -> None:
    prompts = [[1, 2], [1, 2], [1, 2], [5, 6], [5, 6]]
    assert list(Prefixes(2).plan(range(5), prompts)) == [
        [Known(0, 0, None), Known(3, 0, None)], [Known(1, 2, 0), Known(2, 2, 0), Known(4, 2, 3)]]


def test_freed_and_moved_slots() -> None:
    prefixes = Prefixes(2)
    list(prefixes.plan([0, 1], [[1, 2], [3, 4]]))
    prefixes.forget(0)
    prefixes.move(1, 0)
    assert list(prefixes.plan([1], [[3, 4]])) == [[Known(1, 2, 0)]]
    assert list(prefixes.plan([2], [[1, 2]])) == [[Known(2, 0, None)]]
    prefixes.forget(9)
