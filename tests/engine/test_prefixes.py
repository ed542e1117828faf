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


def test_what_ended_sequences_leave_helps_later_ones() -> None:
    prefixes = Prefixes(2)
    list(prefixes.plan([0, 1], [[1, 2], [3, 4]]))
    prefixes.hold(0, [1, 2, 7, 8])              # slot 0 ends; slot 1 moves to its place
    prefixes.swap(0, 1)
    assert list(prefixes.plan([1], [[1, 2, 7, 8, 9, 9]])) == [[Known(1, 4, 1)]]       # it lies there already
    assert list(prefixes.plan([2], [[3, 4]])) == [[Known(2, 2, 0)]]


def test_what_is_overwritten_helps_nobody_else() -> None:
    """Slots 1 and 2 are free; the prompt that slot 2 holds comes into slot 1, another into slot 2."""
    prefixes = Prefixes(2)
    list(prefixes.plan([0, 1, 2], [[1, 2], [3, 4], [5, 6]]))
    assert list(prefixes.plan([1, 2], [[5, 6], [7, 8]])) == [[Known(1, 0, None), Known(2, 0, None)]]
    assert list(prefixes.plan([1], [[7, 8]])) == [[Known(1, 2, 2)]]


def test_a_smaller_cache_holds_less() -> None:
    prefixes = Prefixes(2)
    list(prefixes.plan([0, 1], [[1, 2, 3, 4], [5, 6]]))
    prefixes.keep(1, 3)
    assert list(prefixes.plan([2, 3], [[1, 2, 3, 4], [5, 6]])) == [[Known(2, 2, 0), Known(3, 0, None)]]
