"""``dllm_rl.Engine``: continuous batching, with the very tensors of a model in this process.

The tokens are those of the readable decoders (``decoding/``): same draws, same strategies, same records. What the fast
lanes do not know goes through the readable loops: decoders by name, guidance, and strategies that move the ends of blocks.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding.local_decoder import LocalDecoder
from dllm_rl.decoding.request import Request, prepare_requests, resolve_block_size, resolve_canvas
from dllm_rl.engine.events import Ended, Event, Failed, Watch
from dllm_rl.engine.lane import Lane
from dllm_rl.engine.readable_lane import ReadableLane
from dllm_rl.engine.stats import EngineStats
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.registry import STRATEGIES


class Engine:
    """Decodes many sequences at a time: they enter and leave at every step, each with settings of its own.

    ``generate`` and ``stream`` decode some requests to their ends. ``submit``, ``step`` and ``cancel`` are for those who
    serve requests as they come. Not for several threads at once.
    """

    def __init__(self, lm: LanguageModel, config: EngineConfig | None = None, version: int = 0) -> None:
        """Decode with ``lm``; ``version`` is that of its weights."""
        self.lm = lm
        self.config = config or EngineConfig()
        self._local = LocalDecoder(lm, version)
        self._lanes: dict[int, Lane] = {}
        self._readable = ReadableLane(lm, lambda: self.version)
        self._tickets = 0
        self._mail: dict[int, deque[Event]] = {}
        """Events of tickets that a stream of this engine waits for."""
        self.is_asleep = False

    @property
    def _all(self) -> list[Lane | ReadableLane]:
        return [*self._lanes.values(), self._readable]

    @property
    def version(self) -> int:
        """Version of the weights, noted in later blocks' records. Set it when the shared tensors have been updated."""
        return self._local.version

    @version.setter
    def version(self, version: int) -> None:
        if version != self._local.version:
            self._weights_changed(keep_cache=True)
        self._local.version = version

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int, keep_cache: bool = True) -> None:
        """Copy new weights into the model's own tensors, in place, between two steps.

        Args:
            named_tensors: names of the backbone's parameters and tensors of equal shape, of any dtype and device; what is
                the model's own tensor already is not copied.
            version: of the new weights.
            keep_cache: go on with keys and values of the old weights for what sequences in flight have finished; else they
                are computed anew by the next step. Later sequences never get those of the old weights.

        Raises:
            ValueError: a name the backbone does not have, or another shape; weights before it are already replaced.
        """
        self._local.load_weights(named_tensors, version)
        self._weights_changed(keep_cache)

    def _weights_changed(self, keep_cache: bool) -> None:
        for lane in self._lanes.values():
            lane.weights_changed(keep_cache)

    def sleep(self) -> None:
        """Give back the cache's memory, for an update of the model; sequences in flight can go on after ``wake``."""
        if not self.is_asleep:
            for lane in self._lanes.values():
                lane.sleep()
        self.is_asleep = True

    def wake(self) -> None:
        """Be ready again."""
        if self.is_asleep:
            for lane in self._lanes.values():
                lane.wake()
        self.is_asleep = False

    def submit(self, request: Request, config: DecodingConfig, watch: Watch = "nothing") -> int:
        """Let a request wait for its turn.

        Args:
            request: what to decode.
            config: how; lengths, stops, seed and greediness come with the request.
            watch: what its events tell before it ends.

        Returns:
            a ticket, by which events and ``cancel`` name it.

        Raises:
            ValueError: settings that do not fit the model, or a request that never fits the cache.
        """
        self._tickets += 1
        self._lane_for(config).add(self._tickets, request, config, watch)
        return self._tickets

    def cancel(self, ticket: int) -> None:
        """Drop a request; its slot is free at once. Nothing happens if it has ended."""
        for lane in self._all:
            lane.cancel(ticket)
        self._mail.pop(ticket, None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        lanes = self._lanes.values()
        return not self._readable.num_waiting and not any(lane.num_waiting or lane.num_running for lane in lanes)

    def step(self) -> list[Event]:
        """Admit, make a forward, retire; gradients and the model's mode are as before.

        Returns:
            what happened to the requests that were submitted, in order; nothing if the engine is idle.

        Raises:
            RuntimeError: the engine is asleep.
        """
        return [event for event in self._advance() if event.ticket not in self._mail]

    @torch.no_grad()
    def _advance(self) -> list[Event]:
        """A step of every lane; events of tickets that a stream waits for are put aside too."""
        if self.is_asleep:
            raise RuntimeError("the engine is asleep; call wake() first")
        training = self.lm.backbone.training
        self.lm.backbone.eval()
        try:
            events = [event for lane in self._all for event in lane.step()]
        finally:
            self.lm.backbone.train(training)
        for event in events:
            if event.ticket in self._mail:
                self._mail[event.ticket].append(event)
        return events

    def stats(self) -> EngineStats:
        """How busy the engine is, and what it has done."""
        lanes = list(self._lanes.values())
        caches = [lane.passes.cache for lane in lanes]
        return EngineStats(
            num_running=sum(lane.num_running for lane in lanes),
            num_waiting=sum(lane.num_waiting for lane in lanes) + self._readable.num_waiting,
            cached_tokens=sum(lane.cached_tokens for lane in lanes),
            cache_capacity=sum(cache.num_slots * cache.length for cache in caches),
            cache_bytes=sum(cache.num_bytes for cache in caches),
            num_forwards=sum(lane.passes.num_forwards for lane in lanes),
            forwarded_tokens=sum(lane.passes.forwarded_tokens for lane in lanes),
            generated_tokens=sum(lane.generated_tokens for lane in self._all),
            num_preemptions=sum(lane.num_preemptions for lane in lanes), version=self.version)

    @property
    def forwarded_tokens(self) -> int:
        """Tokens of all passes so far, prefill included."""
        return self.stats().forwarded_tokens

    def generate(self, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
                 seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
        """Decode ``num_samples`` responses per prompt; arguments, result and errors as ``dllm_rl.generate``."""
        groups = prepare_requests(self.lm, prompts, config, num_samples, seeds)
        found = dict(self.stream([request for group in groups for request in group], config))
        return [[found[number * num_samples + sample] for sample in range(num_samples)] for number in range(len(groups))]

    def stream(self, requests: Sequence[Request], config: DecodingConfig) -> Iterator[tuple[int, Rollout]]:
        """Decode requests; yields each one's number and rollout as soon as it has ended.

        Who stops taking rollouts drops the rest.

        Args:
            requests: what to decode.
            config: how; see ``submit``.

        Raises:
            ValueError: settings that do not fit the model, or a strategy of the user's own at fault.
            FloatingPointError: the model's logits are NaN or infinite.
        """
        if self.is_idle:
            self._weights_changed(keep_cache=True)      # a trainer in this process need not have said so
        numbers: dict[int, int] = {}
        try:
            for number, request in enumerate(requests):
                ticket = self.submit(request, config)
                numbers[ticket], self._mail[ticket] = number, deque()
            while numbers:
                for ticket in [own for own in numbers if self._mail[own]]:
                    event = self._mail.pop(ticket).popleft()
                    number = numbers.pop(ticket)
                    if isinstance(event, Failed):
                        raise event.error
                    assert isinstance(event, Ended)     # nothing else is reported to those who do not watch
                    yield number, event.rollout
                if numbers:
                    self._advance()
        finally:
            for ticket in numbers:
                self.cancel(ticket)

    def is_fast(self, config: DecodingConfig) -> bool:
        """Whether a fast lane decodes with these settings."""
        own = "block" if self.lm.family.attention == "block" else "canvas"
        strategy = STRATEGIES.load(config.remasking_strategy)
        return config.decoder in (None, own) and not config.cfg_scale and not strategy.adapts_blocks

    def _lane_for(self, config: DecodingConfig) -> Lane | ReadableLane:
        """The lane of these settings; ``ValueError`` if they do not fit the model."""
        is_block = self.lm.family.attention == "block"
        if not self.is_fast(config):
            return self._readable
        size = resolve_block_size(self.lm, config) if is_block else resolve_canvas(self.lm, config, one_block=False)[0]
        if size not in self._lanes:
            self._lanes[size] = Lane(self.lm, self.config, size, lambda: self.version)
        return self._lanes[size]
