"""Denoising passes of few shapes, which a GPU replays as graphs.

Letters: n sequences in flight, N rows of a shape, b block size, L cached positions, H hidden size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.engine.passes import ModelPasses
from dllm_rl.engine.slot_attention import SlotAttention
from dllm_rl.engine.slots import Slots

LENGTH_STEP = 256
"""Lengths of shapes are multiples of this."""


@dataclass
class _Inputs:
    """(N, 2 b) int64 of a shape: every row's finished block, or tokens of nobody, and its current one."""

    ids: Tensor
    position: Tensor
    row: Tensor
    border: Tensor


class PaddedBlocks:
    """Passes over N >= n rows of two blocks each, N a power of two, so that a batch of any size has one of few shapes.

    Rows without a finished block, and rows behind the last sequence, hold tokens of nobody, whose keys and values go to
    the cache's spare row. On a GPU a shape's pass is captured as a CUDA graph when it is first met; elsewhere the same
    pass is made eagerly, so that its results can be compared with the ragged one's.
    """

    def __init__(self, passes: ModelPasses, slots: Slots) -> None:
        """For the sequences of ``slots``."""
        self._passes, self._slots = passes, slots
        self._generation = -1
        self._shapes: dict[tuple[int, int], tuple[_Inputs, Callable[[], Tensor]]] = {}

    def states(self, num: int, pending: Tensor, length: int) -> Tensor:
        """(n, b, H) states of the current blocks; finished blocks of ``pending`` (P,) are cached on the way."""
        cache, size = self._passes.cache, self._slots.block_size
        if self._generation != cache.generation:    # graphs read the tensors they were captured with
            self._shapes, self._generation = {}, cache.generation
        rows = min(1 << (num - 1).bit_length(), cache.num_slots)
        shape = rows, min(-(-length // LENGTH_STEP) * LENGTH_STEP, cache.length)
        if shape not in self._shapes:
            self._shapes[shape] = self._prepare(*shape)
        inputs, run = self._shapes[shape]
        self._fill(inputs, num, pending)
        self._passes.num_forwards += 1
        self._passes.forwarded_tokens += rows * 2 * size
        return run().view(rows, 2 * size, -1)[:num, size:]

    def _fill(self, inputs: _Inputs, num: int, pending: Tensor) -> None:
        slots, size = self._slots, self._slots.block_size
        spare = self._passes.cache.num_slots
        within = torch.arange(size, device=pending.device)
        inputs.ids.zero_()
        inputs.position.zero_()
        inputs.row.fill_(spare)
        inputs.border.fill_(1)
        inputs.ids[:num, size:] = slots.ids[:num]
        inputs.position[:num, size:] = slots.start[:num, None] + within
        inputs.row[:num, size:] = torch.arange(num, device=pending.device)[:, None]
        inputs.border[:num, size:] = slots.start[:num, None] + size
        inputs.ids[pending, :size] = slots.previous[pending]
        inputs.position[pending, :size] = slots.start[pending, None] - size + within
        inputs.row[pending, :size] = pending[:, None]
        inputs.border[pending, :size] = slots.start[pending, None]

    def _prepare(self, rows: int, length: int) -> tuple[_Inputs, Callable[[], Tensor]]:
        """The inputs of a shape, and its pass over them."""
        lm, cache, width = self._passes.lm, self._passes.cache, 2 * self._slots.block_size
        zeros = torch.zeros(rows, width, dtype=torch.long, device=lm.device)
        inputs = _Inputs(zeros.clone(), zeros.clone(), zeros + cache.num_slots, zeros + 1)
        place = torch.arange(rows * width, device=lm.device)

        def run() -> Tensor:
            position = inputs.position.flatten()
            attention = SlotAttention(cache, inputs.row.flatten(), position, place, (rows, width), inputs.border.flatten(),
                                      length)
            return lm.hidden(inputs.ids.view(1, -1), position[None], attention)[0]

        return inputs, run if lm.device.type != "cuda" else _captured(run)


def _captured(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """``run`` as a CUDA graph; its inputs and its result stay where they are."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):       # lazily made handles and workspaces must not be made while capturing
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay
