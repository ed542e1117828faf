"""The slot table: the state of the sequences in flight, as tensors.

Letters: S slots, n of which are in use (the first n), b block size, O places for decoded tokens, K stop ids, r rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from dllm_rl.decoding.request import Request
from dllm_rl.decoding.sampling import Candidates

NOTHING = -1
"""Where no stop id and no given token is."""


@dataclass
class Slots:
    """Rows of all slots. Integers are int64, log-probabilities float32 nats.

    Attributes:
        settings: (S,) numbers of the settings.
        seed, num_prompt, limit: (S,) of the request: seed, prompt tokens, largest number of response tokens.
        start: (S,) position of the current block.
        total, number: (S,) masks at the block's opening, and steps made in it.
        block, forwards: (S,) blocks finished, and denoising forwards of the sequence.
        stop: (S, K) ids that end the response; ``NOTHING`` where a request has fewer than K.
        ids, masked, steps, logprobs, raw: (S, b) the current block.
        previous: (S, b) ids of the block before it.
        given: (S, O) tokens of the response that the request has set; ``NOTHING`` where one is to be decoded.
        out_ids, out_steps, out_logprobs, out_raw: (S, O) decoded tokens, response and hidden tail.
        out_versions: (S, O) version of the weights each token's block ended with.
        memory: (S, ...) what strategies keep from step to step of a block; zeros at its first.
        has_tail: whether a last block is decoded in full, beyond the limit; else its places there stay as they are.

    Example: ``Slots.empty(64, 4, 256, 2, device)`` holds 64 sequences of up to 256 decoded tokens and 2 stop ids.
    """

    settings: Tensor
    seed: Tensor
    num_prompt: Tensor
    limit: Tensor
    start: Tensor
    total: Tensor
    number: Tensor
    block: Tensor
    forwards: Tensor
    stop: Tensor
    ids: Tensor
    masked: Tensor
    steps: Tensor
    logprobs: Tensor
    raw: Tensor
    previous: Tensor
    given: Tensor
    out_ids: Tensor
    out_steps: Tensor
    out_logprobs: Tensor
    out_raw: Tensor
    out_versions: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)
    has_tail: bool = True

    @classmethod
    def empty(cls, num_slots: int, block_size: int, length: int, num_stops: int, device: torch.device,
              has_tail: bool = True) -> "Slots":
        """Slots in which nothing is decoded yet; of at most ``num_stops`` stop ids."""
        def whole(*shape: int, dtype: torch.dtype = torch.long, value: int = 0) -> Tensor:
            return torch.full((num_slots, *shape), value, dtype=dtype, device=device)

        nats = torch.float32
        return cls(
            settings=whole(), seed=whole(), num_prompt=whole(), limit=whole(), start=whole(), total=whole(),
            number=whole(), block=whole(), forwards=whole(), stop=whole(num_stops, value=NOTHING), ids=whole(block_size),
            masked=whole(block_size, dtype=torch.bool), steps=whole(block_size), logprobs=whole(block_size, dtype=nats),
            raw=whole(block_size, dtype=nats), previous=whole(block_size), given=whole(length, value=NOTHING),
            out_ids=whole(length), out_steps=whole(length), out_logprobs=whole(length, dtype=nats),
            out_raw=whole(length, dtype=nats), out_versions=whole(length), has_tail=has_tail)

    @property
    def block_size(self) -> int:
        """The block size b."""
        return self.ids.shape[1]

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((item.name, vars(self)[item.name]) for item in fields(self) if item.name not in ("memory", "has_tail"))
        yield from self.memory.items()

    def reserve(self, num_slots: int, length: int, num_stops: int) -> None:
        """Make room for so many sequences of so many decoded tokens and stop ids, where it is missing."""
        sizes = (max(num_slots, len(self.seed)), max(length, self.given.shape[1]), max(num_stops, self.stop.shape[1]))
        if sizes == (len(self.seed), self.given.shape[1], self.stop.shape[1]):
            return
        larger = Slots.empty(sizes[0], self.block_size, sizes[1], sizes[2], self.seed.device, self.has_tail)
        larger.memory = {name: old.new_zeros(sizes[0], *old.shape[1:]) for name, old in self.memory.items()}
        for (_, new), (_, old) in zip(larger._tensors(), self._tensors(), strict=True):
            new[tuple(slice(size) for size in old.shape)] = old
        vars(self).update(vars(larger))

    def open(self, slot: int, settings: int, request: Request, start: int, mask_token_id: int) -> None:
        """Put a request into a slot; its first block may open with the end of the prompt.

        Args:
            slot: where.
            settings: number of its settings.
            request: what is decoded.
            start: position of its first block.
            mask_token_id: what the model sees at masked positions.
        """
        stops, given = sorted(request.stop_ids), request.given or ()
        for own, value in ((self.settings, settings), (self.seed, request.seed), (self.limit, request.max_new),
                           (self.num_prompt, len(request.prompt_ids)), (self.start, start), (self.stop, NOTHING),
                           (self.given, NOTHING), (self.block, 0), (self.forwards, 0)):
            own[slot] = value
        self.stop[slot, :len(stops)] = torch.tensor(stops).to(self.stop)
        self.given[slot, :len(given)] = torch.tensor([NOTHING if own is None else own for own in given]).to(self.given)
        self._open_blocks(torch.tensor([slot], device=self.seed.device), mask_token_id)
        rest = request.prompt_ids[start:]
        self.ids[slot, :len(rest)], self.masked[slot, :len(rest)] = torch.tensor(rest).to(self.ids), False
        self.total[slot] = self.masked[slot].sum()

    def _open_blocks(self, rows: Tensor, mask_token_id: int) -> None:
        """Fresh blocks at the rows' starts, with the given tokens in them."""
        place = self.start[rows, None] + torch.arange(self.block_size, device=rows.device) - self.num_prompt[rows, None]
        given = self.given[rows].gather(1, place.clamp(0, self.given.shape[1] - 1))
        behind = place >= self.limit[rows, None]
        masked = (given == NOTHING) & ~behind | (place < 0) | (behind if self.has_tail else torch.zeros_like(behind))
        self.ids[rows], self.masked[rows] = torch.where(masked, mask_token_id, given), masked
        self.total[rows] = masked.sum(1)
        for own in (self.number, self.steps, self.logprobs, self.raw, *self.memory.values()):
            own[rows] = 0

    def park(self, slot: int) -> dict[str, Tensor]:
        """A copy of a slot's row, to be restored later."""
        return {name: own[slot].clone() for name, own in self._tensors()}

    def restore(self, slot: int, parked: dict[str, Tensor]) -> None:
        """Put a parked row into a slot."""
        for name, own in self._tensors():
            own[slot] = NOTHING if name in ("stop", "given") else 0
            if name in parked:
                row = own[slot]
                row[tuple(slice(size) for size in parked[name].shape)] = parked[name]

    def move(self, source: int, target: int) -> None:
        """Move a sequence to another slot."""
        for _, own in self._tensors():
            own[target] = own[source]

    def remember(self, rows: Tensor, memory: dict[str, Tensor]) -> None:
        """Keep what a strategy wants to keep of these rows."""
        for name, values in memory.items():
            if name not in self.memory:
                self.memory[name] = values.new_zeros(len(self.seed), *values.shape[1:])
            self.memory[name][rows] = values

    def reveal(self, rows: Tensor, chosen: Tensor, places: Tensor, candidates: Candidates) -> None:
        """Put candidates of the flat (M,) ``places`` of the blocks of ``rows`` (r,) where ``chosen`` (r, b) says so."""
        picked = chosen.flatten()[places]
        row, column = rows[places[picked] // self.block_size], places[picked] % self.block_size
        for own, new in ((self.ids, candidates.ids), (self.logprobs, candidates.logprobs),
                         (self.raw, candidates.raw_logprobs)):
            own[row, column] = new[picked]
        self.steps[row, column] = self.forwards[row]
        self.masked[row, column] = False

    def finish_blocks(self, num: int, done: Tensor, version: int) -> tuple[Tensor, Tensor]:
        """Append finished blocks to what is decoded (SPEC 1.3, 5).

        Args:
            num: rows in use.
            done: (num,) bool, rows whose block is finished.
            version: of the weights.

        Returns:
            (num,) bool, rows that ended, and (num,) int64 their response tokens; negative where the limit cut it.
        """
        place = self.start[:num, None] + torch.arange(self.block_size, device=done.device) - self.num_prompt[:num, None]
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

    def next_blocks(self, rows: Tensor, mask_token_id: int) -> None:
        """Open the next block in these rows (r,); their finished one is still to be cached."""
        self.previous[rows] = self.ids[rows]
        self.start[rows] += self.block_size
        self.block[rows] += 1
        self._open_blocks(rows, mask_token_id)
