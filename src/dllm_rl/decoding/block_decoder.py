"""The readable block loop: many requests of unequal length decoded together (SPEC 1.3).

Letters: B rows, b block size, M masked positions of the whole canvas, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import isabstract

import torch
from torch import Tensor

from dllm_rl.attention import AttentionContext, attention_for
from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding.batches import decode_in_batches
from dllm_rl.decoding.cache import BlockCache, CachedAttention, RecordedAttention
from dllm_rl.decoding.canvas import Canvas
from dllm_rl.decoding.discarding import compares_discards, note_discards
from dllm_rl.decoding.draws import Purpose, uniform
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request, resolve_block_size
from dllm_rl.decoding.sampling import Sampler
from dllm_rl.decoding.schedules import even_split, num_steps
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, sampler_class_of, score_of_strategy
from dllm_rl.decoding.watching import Watcher, show
from dllm_rl.families import LanguageModel
from dllm_rl.records import Layout, Rollout
from dllm_rl.records.layout import NO_PARENT
from dllm_rl.registry import STRATEGIES


@dataclass
class _Batch:
    """Rows decoded together: all greedy or none, (B,) int64 seeds, block starts and denoising forwards so far."""

    rows: list[Progress]
    cache: BlockCache
    seeds: Tensor
    start: Tensor
    forwards: Tensor

    @property
    def greedy(self) -> bool:
        return self.rows[0].request.greedy

    def keep_rows(self, numbers: list[int]) -> None:
        """Let all rows leave but those with these numbers."""
        rows = torch.tensor(numbers, dtype=torch.long, device=self.start.device)
        self.rows = [self.rows[number] for number in numbers]
        self.cache.keep_rows(rows)
        self.seeds, self.start, self.forwards = self.seeds[rows], self.start[rows], self.forwards[rows]


def load_strategy(config: DecodingConfig) -> Strategy:
    """The unmasking strategy that the settings name; ``ValueError`` if it is none."""
    kind = STRATEGIES.load(config.remasking_strategy)
    if not isinstance(kind, type) or not issubclass(kind, Strategy) or isabstract(kind):
        raise ValueError(f"{config.remasking_strategy!r} is no unmasking strategy; name a class that derives from "
                         "dllm_rl.decoding.strategies.Strategy and has a reveal")
    return kind()


def spread(values: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
    """(M, ...) values at M flat places of a (B, b) canvas, zeros elsewhere: (B, b, ...)."""
    full = values.new_zeros(shape.numel(), *values.shape[1:])
    return full.index_copy(0, places, values).view(*shape, *values.shape[1:])


class BlockDecoder:
    """Decodes requests block by block.

    Per batch of requests: one prefill pass over the full blocks of the prompts, then for each block the denoising
    forwards of that block alone against the cache, and one more forward that writes the finished block's keys and
    values, which a sequence's last block does without. Rows whose block is done wait for the others of the batch;
    rows whose response has ended leave at the block's border.
    """

    def __init__(self, lm: LanguageModel, config: DecodingConfig, version: int = 0) -> None:
        """Prepare to decode with these settings.

        Args:
            lm: a model of a block family.
            config: the settings; lengths, stops, seeds and greediness come with each request.
            version: of the weights, for the records.

        Raises:
            ValueError: the settings do not fit the model.
        """
        self._lm = lm
        self._config = config
        self._version = version
        self._block_size = resolve_block_size(lm, config)
        self._strategy = load_strategy(config)
        if self._strategy.adapts_blocks:
            raise ValueError(f"strategy {config.remasking_strategy!r} chooses where blocks end, but those of the "
                             f"{lm.family.name} family lie on a grid; use another strategy, or a full-attention model")
        self._sampler = Sampler(config, lm.allowed_ids, score_of_strategy(self._strategy, config),
                                config.score_of or "processed", pad_token_id=lm.pad_token_id)
        self._notes_discards = compares_discards(self._strategy, config)
        self._watch: Watcher | None = None

    @torch.no_grad()
    def decode(self, requests: Sequence[Request], watch: Watcher | None = None) -> list[Rollout]:
        """Decode requests, ``config.batch_size`` at a time, those of similar prompt length together.

        Args:
            requests: what to decode.
            watch: is shown every row of the canvas after each denoising forward.

        Returns:
            one rollout per request, in order.

        Raises:
            ValueError: ``top_k`` exceeds the vocabulary, or a strategy of the user's own left masks in a block.
            FloatingPointError: the model's logits are NaN or infinite.
        """
        self._watch = watch
        return decode_in_batches(self._lm, requests, self._config.batch_size, lambda numbers: self._decode_batch(
            [Progress.of(requests[number], number, self._config.record_discards) for number in numbers]))

    def _decode_batch(self, rows: list[Progress]) -> list[Rollout]:
        batch = self._prefilled(rows)
        prompts = [row.request.prompt_ids[self._prefix(row):] for row in rows]
        while True:
            canvas = Canvas.open(batch.start, prompts, self._block_size, self._lm.mask_token_id)
            canvas.give([self._given(row, len(rest)) for row, rest in zip(batch.rows, prompts, strict=True)])
            self._denoise(batch, canvas)
            self._commit(batch, canvas, [len(ids) for ids in prompts])
            going = [number for number, row in enumerate(batch.rows) if row.length is None]
            if not going:
                return [row.rollout(self._lm, self._recorded(row.request.greedy), self._version, self._block_size)
                        for row in rows]
            if len(going) < len(batch.rows):
                batch.keep_rows(going)
            self._write_block(batch, canvas, going)
            batch.start = batch.start + self._block_size
            prompts = [[] for _ in batch.rows]

    def _prefix(self, row: Progress) -> int:
        """Number of prompt tokens in full blocks."""
        return len(row.request.prompt_ids) // self._block_size * self._block_size

    def _given(self, row: Progress, num_prompt: int) -> list[int | None]:
        """What the request has set of the next block, which opens with ``num_prompt`` tokens of the prompt."""
        begin = len(row.ids)
        return [*[None] * num_prompt, *row.request.given_at(begin, begin + self._block_size - num_prompt)]

    def _prefilled(self, rows: list[Progress]) -> _Batch:
        """A batch whose cache holds the full prompt blocks of its rows: one block-causal pass."""
        device = self._lm.device
        starts = [self._prefix(row) for row in rows]
        start = torch.tensor(starts, device=device)
        width = max(starts)
        new = max(-(-(len(row.request.prompt_ids) + row.request.max_new) // self._block_size) * self._block_size - begin
                  for row, begin in zip(rows, starts, strict=True))
        position = torch.arange(width, device=device).expand(len(rows), width)
        real = position < start[:, None]
        layout = Layout(position, doc=torch.where(real, 0, position + 1), parent=torch.full_like(position, NO_PARENT),
                        view=torch.zeros_like(position), block=position // self._block_size)
        cache = BlockCache(layout.index((slice(None), slice(0))), width + new)
        if width:
            ids = [[*row.request.prompt_ids[:begin], *[0] * (width - begin)]
                   for row, begin in zip(rows, starts, strict=True)]
            self._lm.hidden(torch.tensor(ids, device=device), position,
                            RecordedAttention(cache, attention_for(layout)))
            cache.commit(layout)
        seeds = torch.tensor([row.request.seed for row in rows], device=device)
        return _Batch(rows, cache, seeds, start, torch.zeros_like(start))

    def _denoise(self, batch: _Batch, canvas: Canvas) -> None:
        """Forward passes of the current block until no row has a mask in it."""
        attention = CachedAttention(batch.cache, canvas.layout)
        steps, memory = num_steps(self._config, self._block_size), dict[str, Tensor]()
        for number in range(steps):
            places = canvas.masked.flatten().nonzero()[:, 0]  # the one host read of a step
            if not len(places):
                return
            batch.forwards = batch.forwards + canvas.masked.any(1)
            place = torch.full_like(batch.start, number)
            self._step(batch, canvas, places, attention,
                       Step(even_split(self._block_size, steps, place), place >= steps - 1, memory=memory))
        if canvas.masked.any():
            raise ValueError(f"the unmasking strategy {self._config.remasking_strategy!r} left masks in a block after "
                             "its last step; its reveal must return all of masked at that step")

    def _step(self, batch: _Batch, canvas: Canvas, places: Tensor, attention: AttentionContext, step: Step) -> None:
        hidden = self._lm.hidden(canvas.ids, canvas.layout.position, attention)
        uniforms, order = (uniform(batch.seeds[:, None], canvas.layout.position, batch.forwards[:, None],
                                   purpose).flatten()[places] for purpose in (Purpose.CANDIDATE, Purpose.ORDER))
        candidates = self._sampler.propose(self._lm.head(hidden.flatten(0, 1)[places]),
                                           None if batch.greedy else uniforms, order)
        if self._strategy.needs_logits:
            step.logits = spread(candidates.logits, places, canvas.masked.shape)
        chosen = self._strategy.reveal(spread(candidates.scores, places, canvas.masked.shape), canvas.masked, step,
                                       self._config)
        if self._notes_discards:
            note_discards(batch.rows, chosen, canvas.layout.position, places, candidates.ids, batch.forwards)
        canvas.reveal(chosen, places, candidates, batch.forwards)
        if self._watch is not None:
            show(self._watch, batch.rows, canvas.ids)

    def _commit(self, batch: _Batch, canvas: Canvas, num_prompt: list[int]) -> None:
        canvas.check()
        blocks = zip(batch.rows, canvas.ids.tolist(), canvas.steps.tolist(), canvas.logprobs.tolist(),
                     canvas.raw_logprobs.tolist(), num_prompt, batch.forwards.tolist(), strict=True)
        for row, *block in blocks:
            row.commit(*block)

    def _write_block(self, batch: _Batch, canvas: Canvas, going: list[int]) -> None:
        """One forward of the finished block, whose keys and values the cache keeps."""
        rows = torch.tensor(going, device=batch.start.device)
        layout = canvas.layout.index(rows)
        self._lm.hidden(canvas.ids[rows], layout.position, CachedAttention(batch.cache, layout))
        batch.cache.commit(layout)

    def _recorded(self, greedy: bool) -> RecordedDecoding:
        return RecordedDecoding(**self._config.model_dump(), replay_class=self._strategy.replay_class,
                                sampler_class=sampler_class_of(self._strategy, self._config, greedy))
