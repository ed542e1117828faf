"""The state of the sequences in flight, as tensors: their current blocks and what they have decoded.

Letters: S slots, n of which are in use (the first n), b block size, O places for decoded tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dllm_rl.decoding.request import Request
from dllm_rl.decoding.sampling import Candidates


@dataclass
class Slots:
    """Rows of all slots. Integers are int64, log-probabilities float32 nats.

    Attributes:
        seed, num_prompt, limit: (S,) of the request: seed, prompt tokens, largest number of response tokens.
        start: (S,) position of the current block.
        number, forwards: (S,) steps made in the block, and denoising forwards of the sequence.
        stop: (S, K) ids that end the response; -1 where a request has fewer than K.
        ids, masked, steps, logprobs, raw: (S, b) the current block.
        previous: (S, b) ids of the block before it.
        out_ids, out_steps, out_logprobs, out_raw: (S, O) decoded tokens, response and hidden tail.
        out_versions: (S, O) version of the weights each token's block ended with.

    Example: ``Slots.empty(64, 4, 256, 2, device)`` holds 64 sequences of up to 256 decoded tokens and 2 stop ids.
    """

    seed: Tensor
    num_prompt: Tensor
    limit: Tensor
    start: Tensor
    number: Tensor
    forwards: Tensor
    stop: Tensor
    ids: Tensor
    masked: Tensor
    steps: Tensor
    logprobs: Tensor
    raw: Tensor
    previous: Tensor
    out_ids: Tensor
    out_steps: Tensor
    out_logprobs: Tensor
    out_raw: Tensor
    out_versions: Tensor

    @classmethod
    def empty(cls, num_slots: int, block_size: int, length: int, num_stops: int, device: torch.device) -> "Slots":
        """Slots in which nothing is decoded yet; of at most ``num_stops`` stop ids."""
        def whole(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(num_slots, *shape, dtype=dtype, device=device)

        nats = torch.float32
        return cls(
            seed=whole(), num_prompt=whole(), limit=whole(), start=whole(), number=whole(), forwards=whole(),
            stop=whole(num_stops), ids=whole(block_size), masked=whole(block_size, dtype=torch.bool),
            steps=whole(block_size), logprobs=whole(block_size, dtype=nats), raw=whole(block_size, dtype=nats),
            previous=whole(block_size), out_ids=whole(length), out_steps=whole(length),
            out_logprobs=whole(length, dtype=nats), out_raw=whole(length, dtype=nats), out_versions=whole(length))

    def open(self, first: int, requests: Sequence[Request], mask_token_id: int) -> None:
        """Put requests into slots from ``first`` on; a first block opens with the prompt's rest behind its full blocks."""
        size, rows = self.ids.shape[1], slice(first, first + len(requests))
        lengths = torch.tensor([len(own.prompt_ids) for own in requests])
        rests = [own.prompt_ids[len(own.prompt_ids) // size * size:] for own in requests]
        self.seed[rows] = torch.tensor([own.seed for own in requests]).to(self.seed)
        self.num_prompt[rows] = lengths.to(self.num_prompt)
        self.limit[rows] = torch.tensor([own.max_new for own in requests]).to(self.limit)
        self.start[rows] = (lengths // size * size).to(self.start)
        self.ids[rows] = torch.tensor([[*rest, *[mask_token_id] * (size - len(rest))] for rest in rests]).to(self.ids)
        self.masked[rows] = (torch.arange(size) >= lengths[:, None] % size).to(self.masked)
        stops = [sorted(own.stop_ids) for own in requests]
        self.stop[rows] = torch.tensor([[*ids, *[-1] * (self.stop.shape[1] - len(ids))] for ids in stops]).to(self.stop)
        for own in (self.number, self.forwards, self.steps, self.logprobs, self.raw):
            own[rows] = 0

    def move(self, source: int, target: int) -> None:
        """Move a sequence to another slot."""
        for item in fields(self):
            own = vars(self)[item.name]
            own[target] = own[source]

    def reveal(self, num: int, chosen: Tensor, places: Tensor, candidates: Candidates) -> None:
        """Put candidates of the flat (M,) ``places`` of the first ``num`` blocks where ``chosen`` (num, b) says so."""
        picked = chosen.flatten()[places]
        where = places[picked]
        for own, new in ((self.ids, candidates.ids), (self.logprobs, candidates.logprobs),
                         (self.raw, candidates.raw_logprobs)):
            own.view(-1)[where] = new[picked]
        self.steps.view(-1)[where] = self.forwards[where // self.ids.shape[1]]
        self.masked.view(-1)[where] = False

    def finish_blocks(self, num: int, done: Tensor, version: int) -> tuple[Tensor, Tensor]:
        """Append finished blocks to what is decoded (SPEC 1.3, 5).

        Args:
            num: rows in use.
            done: (num,) bool, rows whose block is finished.
            version: of the weights.

        Returns:
            (num,) bool, rows that ended, and (num,) int64 their response tokens; negative where the limit cut it.
        """
        place = self.start[:num, None] + torch.arange(self.ids.shape[1], device=done.device) - self.num_prompt[:num, None]
        row, column = (done[:, None] & (place >= 0)).nonzero(as_tuple=True)
        at = place[row, column]
        for own, block in ((self.out_ids, self.ids), (self.out_steps, self.steps), (self.out_logprobs, self.logprobs),
                           (self.out_raw, self.raw)):
            own[row, at] = block[row, column]
        self.out_versions[row, at] = version
        limit = self.limit[:num]
        stops = (self.ids[:num, :, None] == self.stop[:num, None]).any(-1) & (place >= 0) & (place < limit[:, None])
        stopped = stops.any(1)
        ended = done & (stopped | (place[:, -1] + 1 >= limit))
        first = place.gather(1, stops.long().argmax(1, keepdim=True))[:, 0] + 1
        return ended, torch.where(stopped, first, -limit)

    def next_blocks(self, num: int, rolling: Tensor, mask_token_id: int) -> None:
        """Open the next block in the rows (num,) bool ``rolling``; their finished one is still to be cached."""
        rows = rolling.nonzero()[:, 0]
        self.previous[rows] = self.ids[rows]
        self.start[rows] += self.ids.shape[1]
        self.number[rows] = 0
        self.ids[rows], self.masked[rows] = mask_token_id, True
        self.steps[rows], self.logprobs[rows], self.raw[rows] = 0, 0.0, 0.0
