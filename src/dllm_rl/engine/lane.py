"""The lane: requests of one block size, admitted, denoised and retired step by step.

Letters: n sequences in flight, b block size, H hidden size.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding.request import Request
from dllm_rl.engine.block_passes import BlockPasses
from dllm_rl.engine.canvas_passes import CanvasPasses
from dllm_rl.engine.denoiser import Denoiser
from dllm_rl.engine.events import Ended, Event, Failed, Watch
from dllm_rl.engine.job import Job
from dllm_rl.engine.passes import ModelPasses
from dllm_rl.engine.results import block_done, rollout_of, unmasked
from dllm_rl.engine.room import Room
from dllm_rl.engine.settings import Settings, key_of
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel
from dllm_rl.records import Discards

LEFT_MASKS = ("the unmasking strategy {!r} left masks in a block after its last step; its reveal must return all of masked "
              "at that step")
"""What is said of a strategy at fault."""


class Lane:
    """Requests on their way; slots 0 to n - 1 are in flight."""

    def __init__(self, lm: LanguageModel, config: EngineConfig, block_size: int, version: Callable[[], int]) -> None:
        """An empty lane.

        Args:
            lm: the model.
            config: how many sequences fly together and what their cache may take.
            block_size: b of all its requests.
            version: tells the version of the weights, which may change between steps.
        """
        self._lm, self._size, self._version = lm, block_size, version
        is_block = lm.family.attention == "block"
        self._slots = Slots.empty(1, block_size, block_size, 1, lm.device, has_tail=is_block)
        self._passes: BlockPasses | CanvasPasses
        if is_block:
            padded = lm.device.type == "cuda" if config.cuda_graphs is None else config.cuda_graphs
            self._passes = BlockPasses(lm, self._slots, config.max_prefill_tokens, padded)
        else:
            self._passes = CanvasPasses(lm, self._slots)
        self._room = Room(config.max_num_seqs, config.max_cache_tokens)
        self._settings: dict[str, Settings] = {}
        self._num_settings = 0
        self._denoiser = Denoiser(lm, self._slots)
        self._waiting: deque[Job] = deque()
        self._flying: list[Job] = []
        self._used: Counter[Settings] = Counter()
        self._num_watched, self._reach, self._outdated = 0, 0, False
        self.num_preemptions, self.generated_tokens = 0, 0

    @property
    def passes(self) -> ModelPasses:
        """The model's passes, counted, and their cache."""
        return self._passes

    @property
    def num_running(self) -> int:
        """Sequences in flight."""
        return len(self._flying)

    @property
    def num_waiting(self) -> int:
        """Requests without a slot."""
        return len(self._waiting)

    @property
    def cached_tokens(self) -> int:
        """Positions before the current blocks of the sequences in flight."""
        return int(self._slots.start[:len(self._flying)].sum())

    def add(self, ticket: int, request: Request, config: DecodingConfig, watch: Watch) -> None:
        """Let a request wait for a slot; ``ValueError`` if it does not fit the cache or the settings the model."""
        self._room.check(self._longest(request))
        key = key_of(config, request.greedy)
        if key not in self._settings:
            self._settings[key] = Settings(self._lm, config, self._size, request.greedy, self._num_settings)
            self._num_settings += 1
        self._waiting.append(Job(ticket, request, config, watch, self._settings[key],
                                 discards=Discards() if config.record_discards else None))

    def cancel(self, ticket: int) -> None:
        """Drop a request wherever it is."""
        self._waiting = deque(own for own in self._waiting if own.ticket != ticket)
        for slot in [slot for slot, own in enumerate(self._flying) if own.ticket == ticket]:
            self._vacate(slot, None)
        self._drop_settings()

    def weights_changed(self, keep_cache: bool) -> None:
        """What is cached is of older weights: no other sequence may have it; in flight it is kept or made anew."""
        self._passes.forget()
        self._outdated = self._outdated or not keep_cache

    def sleep(self) -> None:
        """Give back the cache's memory on the device; what sequences in flight need is kept on the host."""
        self._passes.forget()
        if self._flying:
            self._passes.cache.store_away(len(self._flying), self._reach)
        else:
            self._passes.cache.clear()

    def wake(self) -> None:
        """Bring back what ``sleep`` stored."""
        self._passes.cache.bring_back()

    def step(self) -> list[Event]:
        """Admit, make a pass, retire."""
        self._admit()
        if not self._flying:
            return []
        self._make_room()
        if self._outdated:
            self._outdated = False
            self._passes.refresh([self._with_decoded(slot) for slot in range(len(self._flying))])
        hidden = self._passes.states(len(self._flying), self._reach)
        stuck = self._denoiser.step(self._flying, hidden, self._used)
        return self._finish(stuck)

    def _longest(self, request: Request) -> int:
        """Positions a request may need, at most; those of a canvas begin behind the prompt."""
        return len(request.prompt_ids) + request.max_new + self._size

    def _admit(self) -> None:
        """Fill free slots with waiting requests, as long as the cache has room."""
        first, fresh = len(self._flying), list[Job]()
        while self._waiting:
            reach = max(self._reach, self._passes.reach(self._waiting[0]))
            if not self._room.has(first + len(fresh) + 1, reach):
                break
            self._reach = reach
            fresh.append(self._waiting.popleft())
        if not fresh:
            return
        self._flying += fresh
        self._used.update(job.settings for job in fresh)
        self._num_watched += sum(job.watch != "nothing" for job in fresh)
        self._reserve()
        for slot, job in enumerate(fresh, first):
            if job.parked is None:
                self._slots.open(slot, job.settings.number, job.request, self._passes.first_block(job),
                                 self._lm.mask_token_id)
            else:
                self._slots.restore(slot, job.parked)
        self._passes.open(first, fresh)
        for job in fresh:
            job.parked, job.decoded = None, ()

    def _reserve(self) -> None:
        """Make the tables and the cache large enough for all in flight."""
        requests = [job.request for job in self._flying]
        sizes = self._room.sizes(len(requests), self._reach, max(map(self._longest, requests)), self._passes.cache)
        if sizes is not None:
            self._passes.resize(*sizes)
        self._slots.reserve(self._passes.cache.num_slots, max(own.max_new for own in requests) + self._size,
                            max(len(own.stop_ids) for own in requests))

    def _make_room(self) -> None:
        """Set the youngest sequences aside until the others have room for their current blocks."""
        if self._room.has(len(self._flying), self._reach) and self._reach <= self._passes.cache.length:
            return
        while not self._room.has(len(self._flying), self._reach):
            youngest = max(range(len(self._flying)), key=lambda slot: self._flying[slot].ticket)
            self._waiting.appendleft(replace(self._with_decoded(youngest), parked=self._slots.park(youngest)))
            self._vacate(youngest, None)
            self._reach = int(self._passes.needs(len(self._flying)).max())
            self.num_preemptions += 1
        self._reserve()

    def _with_decoded(self, slot: int) -> Job:
        """The job of a slot with the tokens of its finished blocks."""
        job = self._flying[slot]
        decoded = int(self._slots.start[slot]) - len(job.request.prompt_ids)
        return replace(job, decoded=tuple(self._slots.out_ids[slot, :max(decoded, 0)].tolist()))

    def _finish(self, stuck: Tensor) -> list[Event]:
        """Commit finished blocks, open the next ones, let ended sequences leave; ``stuck`` is (n,) bool."""
        slots, num = self._slots, len(self._flying)
        done, start = ~slots.masked[:num].any(1), slots.start[:num].clone()
        ended, lengths = slots.finish_blocks(num, done, self._version())
        rolling = done & ~ended
        needs = self._passes.needs(num) + self._size * rolling * self._passes.grows
        # The one read of a step.
        host = torch.stack([ended.long(), rolling.long(), stuck.long(), lengths, start, needs]).cpu()
        leaving, stays = host[0] + host[2] > 0, host[0] + host[2] == 0
        self._reach = int(host[5][stays].max()) if stays.any() else 0
        if host[1].any():
            rows = host[1].nonzero()[:, 0].to(self._lm.device)
            slots.next_blocks(rows, self._lm.mask_token_id)
            self._passes.roll(rows)
        events = self._report(host) if self._num_watched else []
        for slot in reversed(leaving.nonzero()[:, 0].tolist()):
            events.append(self._leave(slot, int(host[3, slot]), bool(host[2, slot])))
        return events

    def _report(self, host: Tensor) -> list[Event]:
        """What those who watch are told of a step."""
        ended, rolling, _, lengths, starts, _ = host.tolist()
        events = list[Event]()
        for slot, job in enumerate(self._flying):
            if job.watch != "nothing" and (ended[slot] or rolling[slot]):
                events.append(block_done(self._slots, slot, job, starts[slot], abs(lengths[slot]) if ended[slot] else None))
            elif job.watch == "steps":
                events.append(unmasked(self._slots, slot, job, starts[slot]))
        return events

    def _leave(self, slot: int, length: int, is_stuck: bool) -> Event:
        """Let a sequence leave whose response has ended, or cannot; ``length`` is negative where the limit cut it."""
        job = self._flying[slot]
        tokens: list[int] | None = None
        event: Event
        if is_stuck:
            event = Failed(job.ticket, ValueError(LEFT_MASKS.format(job.config.remasking_strategy)))
        else:
            try:
                rollout = rollout_of(self._lm, self._slots, slot, job, length, self._version())
            except FloatingPointError as error:
                event = Failed(job.ticket, error)
            else:
                event = Ended(job.ticket, rollout)
                self.generated_tokens += abs(length)
                tokens = [*rollout.prompt_ids, *rollout.response_ids, *rollout.tail_ids][:int(self._slots.start[slot])]
        self._vacate(slot, tokens)
        self._drop_settings()
        return event

    def _vacate(self, slot: int, tokens: list[int] | None) -> None:
        """Free a slot; the last sequence in flight takes its place. ``tokens`` are those that stay cached."""
        last, job = len(self._flying) - 1, self._flying[slot]
        self._passes.leave(slot, last, self._passes.cache.length, tokens)
        if slot != last:
            self._slots.move(last, slot)
            self._flying[slot] = self._flying[last]
        self._flying.pop()
        self._used -= Counter([job.settings])
        self._num_watched -= job.watch != "nothing"

    def _drop_settings(self) -> None:
        """Forget settings that nobody has."""
        used = {job.settings for job in (*self._waiting, *self._flying)}
        self._settings = {key: own for key, own in self._settings.items() if own in used}
