"""The canvas of the readable decoders: the current block of every row, or the whole of it.

Letters: B rows, b positions of a row (a block, or all), M masked positions of the whole canvas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.decoding.sampling import Candidates
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT

DAMAGED = ("the model's logits are NaN or infinite; its weights or activations are damaged or overflow (check the "
           "checkpoint, or decode in float32)")
"""What is said of a token that has no log-probability."""


@dataclass
class Canvas:
    """The token buffer being denoised. All tensors are (B, b).

    Whether a position is masked is a fact of its own: a prompt may hold the mask token as text.

    Attributes:
        layout: a clean block per row at its place in the sequence.
        ids: int64; the mask token where masked.
        masked: bool.
        steps: int64; 1-based number of the row's denoising forward that revealed the position, 0 for the prompt.
        logprobs, raw_logprobs: float32 nats of the revealed tokens, 0 elsewhere.

    Example (blocks of 4; the row's prompt ends with ids 7 8 inside this block):
        >>> canvas = Canvas.open(torch.tensor([4]), [[7, 8]], block_size=4, mask_token_id=99)
        >>> canvas.ids.tolist(), canvas.masked.tolist()
        ([[7, 8, 99, 99]], [[False, False, True, True]])
    """

    layout: Layout
    ids: Tensor
    masked: Tensor
    steps: Tensor
    logprobs: Tensor
    raw_logprobs: Tensor

    @classmethod
    def open(cls, start: Tensor, prompts: Sequence[list[int]], block_size: int, mask_token_id: int) -> "Canvas":
        """A fresh block per row.

        Args:
            start: (B,) int64, position of the first token; a multiple of the block size.
            prompts: per row the prompt's last tokens, which the block opens with; fewer than the block size.
            block_size: b.
            mask_token_id: what the model sees at masked positions.
        """
        device = start.device
        rows = [[*ids, *[mask_token_id] * (block_size - len(ids))] for ids in prompts]
        visible = torch.tensor([len(ids) for ids in prompts], device=device)
        place = torch.arange(block_size, device=device)
        position = start[:, None] + place
        zeros = torch.zeros_like(position)
        layout = Layout(position, doc=zeros, parent=zeros + NO_PARENT, view=zeros, block=position // block_size)
        nats = zeros.to(torch.float32)
        return cls(layout, torch.tensor(rows, device=device), place >= visible[:, None], zeros, nats, nats)

    @classmethod
    def whole(cls, prompts: Sequence[list[int]], lengths: Sequence[int], mask_token_id: int,
              device: torch.device) -> "Canvas":
        """Prompt and response of every row; what is shorter than the longest row ends in pads that nobody sees.

        Args:
            prompts: per row its prompt.
            lengths: per row the number of response tokens.
            mask_token_id: what the model sees at masked positions.
            device: where to.
        """
        width = max(len(ids) + length for ids, length in zip(prompts, lengths, strict=True))
        rows = [[*ids, *[mask_token_id] * (width - len(ids))] for ids in prompts]
        place = torch.arange(width, device=device).expand(len(rows), width)
        begin = torch.tensor([len(ids) for ids in prompts], device=device)[:, None]
        real = place < begin + torch.tensor(list(lengths), device=device)[:, None]
        zeros = torch.zeros_like(place)
        layout = Layout(place, doc=torch.where(real, 0, place + 1), parent=zeros + NO_PARENT, view=zeros, block=zeros)
        nats = zeros.to(torch.float32)
        return cls(layout, torch.tensor(rows, device=device), real & (place >= begin), zeros, nats, nats)

    def give(self, given: Sequence[Sequence[int | None]]) -> None:
        """Set tokens before anything is decoded; ``given`` is of the canvas' shape, ``None`` where a place stays."""
        device = self.ids.device
        ids = torch.tensor([[0 if own is None else own for own in row] for row in given], device=device)
        is_given = torch.tensor([[own is not None for own in row] for row in given], device=device)
        self.ids, self.masked = torch.where(is_given, ids, self.ids), self.masked & ~is_given

    def keep_rows(self, rows: Tensor) -> "Canvas":
        """The canvas of some rows, int64 indices."""
        return Canvas(self.layout.index(rows), *(own[rows] for own in (self.ids, self.masked, self.steps, self.logprobs,
                                                                      self.raw_logprobs)))

    def reveal(self, chosen: Tensor, places: Tensor, candidates: Candidates, step: Tensor) -> None:
        """Put candidates where a strategy chose to; positions that are not masked stay as they are.

        Args:
            chosen: (B, b) bool.
            places: (M,) int64, the masked positions in the flattened canvas, which the candidates are of.
            candidates: of shape (M,).
            step: (B,) int64, number of this forward in each row's sequence.
        """
        chosen = chosen & self.masked

        def updated(old: Tensor, new: Tensor) -> Tensor:
            full = torch.zeros_like(old).flatten().index_copy(0, places, new).view_as(old)
            return torch.where(chosen, full, old)

        self.ids = updated(self.ids, candidates.ids)
        self.logprobs = updated(self.logprobs, candidates.logprobs)
        self.raw_logprobs = updated(self.raw_logprobs, candidates.raw_logprobs)
        self.steps = torch.where(chosen, step[:, None], self.steps)
        self.masked = self.masked & ~chosen

    def check(self) -> None:
        """Raise ``FloatingPointError`` if a revealed token has no log-probability: the model's logits were no numbers."""
        if (~self.logprobs.isfinite() | self.raw_logprobs.isnan()).any():
            raise FloatingPointError(DAMAGED)
