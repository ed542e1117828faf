"""Where a response ends, and what becomes of the rest of its last block."""

import pytest

from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request


def decoded(blocks: list[list[int]], max_new: int, num_prompt: int = 0) -> Progress:
    """Commit blocks of ids until the response has ended; 9 and 8 are stops."""
    progress = Progress(Request([1], max_new, frozenset({8, 9})))
    for number, ids in enumerate(blocks):
        nats = [float(-token) for token in ids]
        progress.commit(ids, ids, nats, nats, 0 if number else num_prompt, num_forwards=number + 1)
        if progress.length is not None:
            break
    return progress


@pytest.mark.parametrize(("blocks", "max_new", "length", "reason", "ends"), [
    ([[2, 3], [4, 5]], 4, 4, "length", [2, 4]),
    ([[2, 3], [4, 5]], 3, 3, "length", [2, 4]),
    ([[2, 9], [4, 5]], 4, 2, "stop", [2]),
    ([[9, 8], [4, 5]], 4, 1, "stop", [2]),
    ([[2, 3], [4, 9]], 3, 3, "length", [2, 4]),  # the stop lies behind the limit
    ([[2, 3], [9, 5]], 3, 3, "stop", [2, 4]),    # both at once: it is a stop
    ([[2, 3]], 4, None, None, [2]),
])
def test_ends(blocks: list[list[int]], max_new: int, length: int | None, reason: str | None, ends: list[int]) -> None:
    progress = decoded(blocks, max_new)
    assert (progress.length, progress.finish_reason, progress.block_ends) == (length, reason, ends)


def test_the_prompts_share_of_the_first_block_is_left_out() -> None:
    progress = decoded([[9, 8, 2], [3, 4, 5]], max_new=4, num_prompt=2)  # stop ids in the prompt do not stop
    assert (progress.ids, progress.steps, progress.logprobs) == ([2, 3, 4, 5], [2, 3, 4, 5], [-2, -3, -4, -5])
    assert progress.block_ends == [1, 4]
    assert (progress.length, progress.num_forwards) == (4, 2)
