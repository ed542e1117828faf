"""Watching a canvas being unmasked."""

from collections.abc import Callable, Sequence

from torch import Tensor

from dllm_rl.decoding.progress import Progress

Watcher = Callable[[int, list[int]], None]
"""Is shown a request's number and its decoded tokens so far, the mask id where one is still masked."""


def show(watch: Watcher, rows: Sequence[Progress], ids: Tensor) -> None:
    """Show every row its finished tokens and those of its current block.

    Args:
        watch: who is shown.
        rows: B rows.
        ids: (B, b) of the current blocks, which may open with the end of the prompt.
    """
    for row, block in zip(rows, ids.tolist(), strict=True):
        prompt = row.request.prompt_ids
        rest = len(prompt) % len(block) if not row.ids else 0
        watch(row.number, [*row.ids, *block[rest:]])
