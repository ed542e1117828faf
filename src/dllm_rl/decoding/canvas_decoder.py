"""The readable loop for full-attention models: block after block of one canvas (SPEC 1.4, 1.6).

Letters: B rows, N canvas positions, M masked positions of the current blocks, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding.batches import decode_in_batches
from dllm_rl.decoding.block_decoder import load_strategy, spread
from dllm_rl.decoding.canvas_batch import CanvasBatch
from dllm_rl.decoding.canvas_forwards import FORWARDS, States
from dllm_rl.decoding.canvas_rules import PLAIN, CanvasRules
from dllm_rl.decoding.discarding import compares_discards, note_discards
from dllm_rl.decoding.draws import Purpose, uniform
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request, resolve_canvas, resolve_delimiters
from dllm_rl.decoding.sampling import Candidates, Sampler
from dllm_rl.decoding.schedules import even_split, timestep_share
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import sampler_class_of, score_of_strategy
from dllm_rl.decoding.watching import Watcher
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout


@dataclass
class _Pace:
    """Where the current blocks are: their steps, the forwards before this one, masks at the opening (B,), memory."""

    steps: int
    total: Tensor
    number: int = 0
    memory: dict[str, Tensor] = field(default_factory=dict)


class CanvasDecoder:
    """Decodes requests on canvases of prompt and masks.

    A block opens with a forward of the whole canvas. Its further steps are whole forwards too (``cache=none``), or
    forwards of the block and what follows against the keys and values the opening left for what precedes it
    (``prefix``), or of the block alone against those of all around it (``dual``), which are stale: such
    log-probabilities cannot be recomputed from the record. Rows whose block is done wait for the others; ended rows
    leave, and what they never revealed stays masked, of step 0.
    """

    def __init__(self, lm: LanguageModel, config: DecodingConfig, version: int = 0,
                 rules: CanvasRules = PLAIN) -> None:
        """Prepare to decode with these settings.

        Args:
            lm: a model of a full-attention family.
            config: the settings; lengths, stops, seeds and greediness come with each request.
            version: of the weights, for the records.
            rules: which of the published loops it is.

        Raises:
            ValueError: the settings do not fit the model or each other.
        """
        self._lm, self._config, self._version, self._rules = lm, config, version, rules
        self._cache = config.cache or "none"
        self._opens_alone = rules.opening == "first" or (self._cache != "none" and lm.family.logit_shift > 0)
        self._block_size, self._steps = resolve_canvas(lm, config, rules.one_block)
        self._strategy = load_strategy(config)
        self._score_of = config.score_of or rules.score_of
        self._sampler = Sampler(config, lm.allowed_ids, score_of_strategy(self._strategy, config), self._score_of,
                                rules.top_p_first, lm.pad_token_id)
        adapts = self._strategy.adapts_blocks
        self._delimiters = resolve_delimiters(lm, config) if adapts else None
        self._widest = max(self._block_size, config.adablock_window or 0) if adapts else self._block_size
        self._notes_discards = compares_discards(self._strategy, config)
        self._watch: Watcher | None = None

    @torch.no_grad()
    def decode(self, requests: Sequence[Request], watch: Watcher | None = None) -> list[Rollout]:
        """Decode requests, ``config.batch_size`` at a time, those of similar prompt length together.

        Args:
            requests: what to decode.
            watch: is shown every row of the canvas after each forward, and once more if pads fill it.

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
        batch = CanvasBatch.of(rows, self._lm.mask_token_id, self._lm.device)
        number = 0
        while batch.rows:
            batch.open_blocks(self._widest)
            self._decode_block(batch, self._steps_of_block(number))
            self._leave(batch)
            number += 1
        return [row.rollout(self._lm, self._recorded(row.request.greedy), self._version) for row in rows]

    def _steps_of_block(self, number: int) -> int:
        """The share of all steps that a block has, earlier blocks taking the remainder; at least one."""
        num_blocks = self._config.max_gen_length // self._block_size
        return self._steps // num_blocks + (number < self._steps % num_blocks)

    def _decode_block(self, batch: CanvasBatch, steps: int) -> None:
        """Forwards of the current blocks until no row has a mask in its own."""
        forwards = FORWARDS[self._cache](self._lm, batch, self._config.further_horizon)
        pace, states = _Pace(steps, batch.open.sum(1)), forwards.opening()
        while True:
            going = batch.open.any(1)
            batch.forwards = batch.forwards + (torch.ones_like(going) if self._rules.shared_steps else going)
            self._reveal(batch, states, pace)
            self._show(batch)
            pace.number += 1
            if not batch.open.any() and not (self._rules.inner_forward and pace.number == 1):
                return batch.canvas.check()
            if pace.number > max(steps, self._widest):      # the opening, and a step per due share or per position
                batch.canvas.check()
                raise ValueError(f"the unmasking strategy {self._config.remasking_strategy!r} left masks in a block "
                                 "after its last step; its reveal must return at least one of a row's masked, and all "
                                 "at its last step")
            states = forwards.further()

    def _reveal(self, batch: CanvasBatch, states: States, pace: _Pace) -> None:
        """Candidates for the current blocks, and those of them that are revealed."""
        canvas = batch.canvas
        places = batch.open.flatten().nonzero()[:, 0]
        if not len(places):
            return
        uniforms, order = (uniform(batch.seeds[:, None], canvas.layout.position, batch.forwards[:, None],
                                   purpose).flatten()[places] for purpose in (Purpose.CANDIDATE, Purpose.ORDER))
        candidates = self._sampler.propose(self._logits(batch, states, places), None if batch.greedy else uniforms, order)
        if pace.number == 0 and self._delimiters is not None:
            self._adapt(batch, places, candidates, self._delimiters)
            pace.total = batch.open.sum(1)
        if pace.number == 0 and self._opens_alone:
            chosen = canvas.layout.position == batch.start[:, None]
        else:
            chosen = self._chosen(batch, places, candidates, pace)
            if self._notes_discards:
                note_discards(batch.rows, chosen, canvas.layout.position, places, candidates.ids, batch.forwards)
        canvas.reveal(chosen & batch.open, places, candidates, batch.forwards)

    def _logits(self, batch: CanvasBatch, states: States, places: Tensor) -> Tensor:
        """(M, V) logits that predict flat ``places`` of the canvas."""
        width = batch.canvas.ids.shape[1]
        row, position = places // width, places % width
        source = (position - self._lm.family.logit_shift - states.begin[row]).clamp(min=0)
        logits = self._lm.head(states.hidden[row, source])
        if not self._config.cfg_scale:
            return logits
        layout = batch.canvas.layout        # guidance has no cache: source is a place of the canvas
        blind = batch.canvas.ids.masked_fill(layout.position < batch.first[:, None], self._lm.mask_token_id)
        without = self._lm.head(self._lm.hidden(blind, layout.position, attention_for(layout))[row, source])
        return without + (self._config.cfg_scale + 1) * (logits - without)

    def _adapt(self, batch: CanvasBatch, places: Tensor, candidates: Candidates, delimiters: Tensor) -> None:
        """Let the strategy shorten the current blocks by what their first candidates are."""
        shape, block = batch.canvas.ids.shape, batch.block
        scores = spread(candidates.scores, places, shape)
        ends = spread(torch.isin(candidates.ids, delimiters), places, shape)
        length = self._strategy.block_length(scores.gather(1, block), batch.open.gather(1, block), ends.gather(1, block),
                                             self._config.model_copy(update={"block_size": self._block_size}))
        batch.end = torch.minimum(batch.end, batch.start + length)

    def _chosen(self, batch: CanvasBatch, places: Tensor, candidates: Candidates, pace: _Pace) -> Tensor:
        """(B, N) bool: what the strategy picks in the current blocks."""
        shape, block, step = batch.canvas.ids.shape, batch.block, self._step(batch, pace)
        masked = batch.open.gather(1, block) & (batch.start[:, None] + torch.arange(
            block.shape[1], device=block.device) < batch.end[:, None])
        if self._strategy.needs_logits:
            every = spread(candidates.logits, places, shape)
            step.logits = every.gather(1, block[..., None].expand(*block.shape, every.shape[-1]))
        scores = spread(candidates.scores, places, shape).gather(1, block)
        picked = self._strategy.reveal(scores, masked, step, self._config) & masked
        # Summed, because places behind a shorter block may repeat the canvas' last one.
        return torch.zeros(shape, dtype=torch.long, device=block.device).scatter_add_(1, block, picked.long()) > 0

    def _step(self, batch: CanvasBatch, pace: _Pace) -> Step:
        """What is due at a step of the current blocks."""
        place, ones = torch.full_like(batch.start, pace.number), torch.ones_like(batch.start)
        never = torch.zeros_like(ones, dtype=torch.bool)
        if not self._strategy.paced:
            return Step(ones, never, True, memory=pace.memory)
        if self._rules.counts == "flat":
            due = self._block_size // pace.steps if pace.number < pace.steps else 0
            return Step(due * ones, never, True, memory=pace.memory)
        quota = even_split(pace.total, pace.steps, place) if self._rules.counts == "even" else \
            timestep_share(batch.open.sum(1), pace.steps, place, self._config.sampling_eps)
        return Step(quota, place >= pace.steps - 1, True, memory=pace.memory)

    def _show(self, batch: CanvasBatch) -> None:
        if self._watch is None:
            return
        for row, ids, first, stop in zip(batch.rows, batch.canvas.ids.tolist(), batch.first.tolist(),
                                         batch.stop.tolist(), strict=True):
            self._watch(row.number, ids[first:stop])

    def _leave(self, batch: CanvasBatch) -> None:
        """Let rows leave whose response has ended: by a stop token, an all-pad block, or its length."""
        padded = self._ended_by_pads(batch)
        if padded.any():
            self._fill_with_pads(batch, padded)
            self._show(batch)
        done, ends, numbers = padded | (batch.end == batch.stop), batch.end - batch.first, range(len(batch.rows))
        if self._rules.early_stop == "stop_token":
            done = done | self._met_stop(batch)
        for number in numbers:
            batch.rows[number].block_ends.append(int(ends[number]))
            if done[number]:
                self._finish(batch, number)
        batch.keep_rows([number for number in numbers if not done[number]])

    def _met_stop(self, batch: CanvasBatch) -> Tensor:
        """(B,) bool: rows whose current block holds a stop token."""
        stops = [torch.isin(ids, torch.tensor(sorted(row.request.stop_ids), dtype=torch.long, device=ids.device))
                 for row, ids in zip(batch.rows, batch.canvas.ids, strict=True)]
        return (torch.stack(stops) & batch.inside).any(1)

    def _ended_by_pads(self, batch: CanvasBatch) -> Tensor:
        """(B,) bool: rows whose current block is pads alone while there are further ones."""
        pad = self._lm.pad_token_id
        if self._rules.early_stop != "pad_block" or pad is None:
            return torch.zeros_like(batch.start, dtype=torch.bool)
        padded = ((batch.canvas.ids == pad) | ~batch.inside).all(1)
        if self._rules.shared_steps:
            padded = padded.all().expand_as(padded)
        return padded & (batch.end < batch.stop)

    def _fill_with_pads(self, batch: CanvasBatch, ended: Tensor) -> None:
        """Reveal the rest of the ended rows as pads, in one step more that is no forward (SPEC 1.4)."""
        canvas, rest = batch.canvas, batch.canvas.masked & ended[:, None]
        assert self._lm.pad_token_id is not None      # a block of pads was found
        canvas.ids = canvas.ids.masked_fill(rest, self._lm.pad_token_id)
        canvas.steps = torch.where(rest, batch.forwards[:, None] + 1, canvas.steps)
        canvas.masked = canvas.masked & ~rest

    def _finish(self, batch: CanvasBatch, number: int) -> None:
        """Note what a row has decoded and where its response ends: behind its first stop token, or at its limit."""
        row, canvas = batch.rows[number], batch.canvas
        response = slice(int(batch.first[number]), int(batch.stop[number]))
        row.ids, row.steps, row.logprobs, row.raw_logprobs = (own[number, response].tolist() for own in (
            canvas.ids, canvas.steps, canvas.logprobs, canvas.raw_logprobs))
        row.num_forwards = int(batch.forwards[number])
        stop = next((place for place, token in enumerate(row.ids[:row.block_ends[-1]], 1)
                     if token in row.request.stop_ids), None)
        row.length, row.finish_reason = (row.request.max_new, "length") if stop is None else (stop, "stop")

    def _recorded(self, greedy: bool) -> RecordedDecoding:
        exact = self._cache == "none" and not self._config.cfg_scale
        return RecordedDecoding(
            **{**self._config.model_dump(), "block_size": self._block_size, "score_of": self._score_of,
               "cache": self._cache},
            sampler_class=sampler_class_of(self._strategy, self._config, greedy),
            replay_class=self._strategy.replay_class if exact else "history", top_p_first=self._rules.top_p_first,
            opens_alone=self._opens_alone)
