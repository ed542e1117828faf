"""The canvas batch: requests decoded together on canvases of prompt and masks, each row at its own block.

Letters: B rows, N canvas positions, b positions of the longest current block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.decoding.canvas import Canvas
from dllm_rl.decoding.progress import Progress


@dataclass
class CanvasBatch:
    """Rows that are decoded together: all greedy or none. Tensors are (B,) int64, places are canvas positions.

    Attributes:
        rows: what is known of each request.
        canvas: (B, N), prompts and responses.
        seeds: of the requests.
        first: where the response begins.
        start, end: the current block, end exclusive.
        stop: exclusive end of the response.
        forwards: so far.

    Example (two rows before their first block, which then gets three positions in one and two in the other):
        >>> rows = [Progress(Request([5, 6], max_new=4)), Progress(Request([7], max_new=2))]
        >>> batch = CanvasBatch.of(rows, mask_token_id=9, device=torch.device("cpu"))
        >>> batch.open_blocks(3)
        >>> batch.block.tolist(), batch.open.sum(1).tolist()
        ([[2, 3, 4], [1, 2, 3]], [3, 2])
    """

    rows: list[Progress]
    canvas: Canvas
    seeds: Tensor
    first: Tensor
    start: Tensor
    end: Tensor
    stop: Tensor
    forwards: Tensor

    @classmethod
    def of(cls, rows: Sequence[Progress], mask_token_id: int, device: torch.device) -> "CanvasBatch":
        """A batch of which nothing is decoded; its blocks are empty."""
        requests = [row.request for row in rows]
        lengths = [request.max_new for request in requests]
        canvas = Canvas.whole([request.prompt_ids for request in requests], lengths, mask_token_id, device)
        width = canvas.ids.shape[1]
        canvas.give([[*[None] * len(request.prompt_ids), *request.given_at(0, width - len(request.prompt_ids))]
                     for request in requests])
        first = torch.tensor([len(request.prompt_ids) for request in requests], device=device)
        seeds = torch.tensor([request.seed for request in requests], device=device)
        return cls(list(rows), canvas, seeds, first, first, first, first + torch.tensor(lengths, device=device),
                   torch.zeros_like(first))

    @property
    def greedy(self) -> bool:
        """Whether candidates are the most probable ids."""
        return self.rows[0].request.greedy

    @property
    def inside(self) -> Tensor:
        """(B, N) bool: positions of the current blocks."""
        place = self.canvas.layout.position
        return (place >= self.start[:, None]) & (place < self.end[:, None])

    @property
    def open(self) -> Tensor:
        """(B, N) bool: masked positions of the current blocks."""
        return self.canvas.masked & self.inside

    @property
    def block(self) -> Tensor:
        """(B, b) int64: places of the current blocks; a shorter one is followed by others, at most the canvas' last."""
        width = int((self.end - self.start).max())
        place = self.start[:, None] + torch.arange(width, device=self.start.device)
        return place.clamp(max=self.canvas.ids.shape[1] - 1)

    def open_blocks(self, size: int) -> None:
        """Go on to every row's next block of ``size`` positions, or what is left of its response."""
        self.start, self.end = self.end, torch.minimum(self.end + size, self.stop)

    def keep_rows(self, numbers: Sequence[int]) -> None:
        """Let all rows leave but those with these numbers."""
        rows = torch.tensor(list(numbers), dtype=torch.long, device=self.start.device)
        self.rows, self.canvas = [self.rows[number] for number in numbers], self.canvas.keep_rows(rows)
        self.seeds, self.first, self.start, self.end, self.stop, self.forwards = (
            own[rows] for own in (self.seeds, self.first, self.start, self.end, self.stop, self.forwards))
