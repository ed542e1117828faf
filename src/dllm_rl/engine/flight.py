"""The flight: the requests of one call, admitted, denoised and retired step by step."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding.canvas import DAMAGED
from dllm_rl.decoding.progress import Progress
from dllm_rl.decoding.request import Request, resolve_block_size
from dllm_rl.decoding.strategies import sampler_class_of
from dllm_rl.engine.prefixes import Prefixes
from dllm_rl.engine.runner import Piece, Runner
from dllm_rl.engine.slot_cache import SlotCache
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.registry import STRATEGIES


class Flight:
    """The requests of one call on their way."""

    def __init__(self, lm: LanguageModel, requests: list[Request], config: DecodingConfig, engine: EngineConfig,
                 version: Callable[[], int]) -> None:
        """Take off.

        Args:
            lm: a model of a block family.
            requests: all greedy or none.
            config: how to decode.
            engine: how many sequences fly together.
            version: tells the version of the weights, which may change between steps.
        """
        self._lm, self._requests, self._version = lm, requests, version
        self._budget = engine.max_prefill_tokens
        self._size = size = resolve_block_size(lm, config)
        num_slots = min(engine.max_num_seqs, len(requests))
        length = max(-(-(len(own.prompt_ids) + own.max_new) // size) * size for own in requests)
        slots = Slots.empty(num_slots, size, max(own.max_new for own in requests) + size,
                            max(len(own.stop_ids) for own in requests), lm.device)
        self._runner = Runner(lm, config, size, slots, SlotCache(num_slots, length), requests[0].greedy)
        self._waiting = deque(range(len(requests)))
        self._flying: list[int] = []
        self._prefixes = Prefixes(size)
        strategy = STRATEGIES.load(config.remasking_strategy)()
        self._recorded = RecordedDecoding(
            **{**config.model_dump(), "decoder": "block"}, replay_class=strategy.replay_class,
            sampler_class=sampler_class_of(strategy, config, requests[0].greedy))

    @property
    def forwarded_tokens(self) -> int:
        """Tokens of all passes so far."""
        return self._runner.forwarded_tokens

    def run(self) -> Iterator[tuple[int, Rollout]]:
        """Until nothing waits and nothing flies; who takes a rollout finds gradients and the model's mode untouched."""
        pending: list[int] = []
        while self._waiting or self._flying:
            landed, pending = self._round(pending)
            yield from landed

    @torch.no_grad()
    def _round(self, pending: list[int]) -> tuple[list[tuple[int, Rollout]], list[int]]:
        """Admit, make a step, retire; the requests that ended, and the slots with a finished block to cache."""
        training, landed = self._lm.backbone.training, []
        self._lm.backbone.eval()
        try:
            self._admit()
            pending, ended = self._step(pending)
            for slot, length in sorted(ended.items(), reverse=True):
                landed.append((self._flying[slot], self._rollout(slot, length)))
                pending = self._retire(slot, pending)
        finally:
            self._lm.backbone.train(training)
        return landed, pending

    def _admit(self) -> None:
        """Fill free slots with waiting requests, and read those of their prompts that no slot has read."""
        slots, first = self._runner.slots, len(self._flying)
        while self._waiting and len(self._flying) < len(slots.seed):
            self._flying.append(self._waiting.popleft())
        fresh = range(first, len(self._flying))
        if not fresh:
            return
        slots.open(first, [self._requests[self._flying[slot]] for slot in fresh], self._lm.mask_token_id)
        for known in self._prefixes.plan(fresh, [self._prompt(slot) for slot in fresh]):
            for slot, length, source in known:
                if source is not None:
                    self._runner.cache.copy(source, slot, length)
            self._read([Piece(slot, length, self._prompt(slot)[length:]) for slot, length, _ in known])

    def _prompt(self, slot: int) -> list[int]:
        """The full blocks of a slot's prompt."""
        prompt = self._requests[self._flying[slot]].prompt_ids
        return prompt[:len(prompt) // self._size * self._size]

    def _read(self, pieces: list[Piece]) -> None:
        """Read pieces of prompts, as many tokens in a pass as the settings allow, longer pieces in parts."""
        budget = max(1, self._budget // self._size) * self._size
        parts = deque(Piece(own.slot, own.begin + at, own.ids[at:at + budget])
                      for own in pieces for at in range(0, len(own.ids), budget))
        while parts:
            taken, width = [parts.popleft()], 0
            while parts and parts[0].slot != taken[-1].slot:
                width = max(len(own.ids) for own in (*taken, parts[0]))
                if width * (len(taken) + 1) > budget:
                    break
                taken.append(parts.popleft())
            self._runner.prefill(taken)

    def _step(self, pending: list[int]) -> tuple[list[int], dict[int, int]]:
        """One forward; the slots whose finished blocks are to be cached by the next one, and ended slots' lengths."""
        slots, num = self._runner.slots, len(self._flying)
        done = self._runner.step(num, torch.tensor(pending, dtype=torch.long, device=self._lm.device))
        ended, length = slots.finish_blocks(num, done, self._version())
        rolling = done & ~ended
        slots.next_blocks(num, rolling, self._lm.mask_token_id)
        goes_on, ends, lengths = torch.stack([rolling.long(), ended.long(), length]).tolist()  # the one host read of a step
        return ([slot for slot in range(num) if goes_on[slot]],
                {slot: lengths[slot] for slot in range(num) if ends[slot]})

    def _retire(self, slot: int, pending: list[int]) -> list[int]:
        """Free a slot; the last sequence in flight takes its place."""
        last = len(self._flying) - 1
        self._prefixes.forget(slot)
        if slot != last:
            request = self._requests[self._flying[last]]
            self._runner.slots.move(last, slot)
            self._runner.cache.copy(last, slot, len(request.prompt_ids) + request.max_new)
            self._prefixes.move(last, slot)
            self._flying[slot] = self._flying[last]
            pending = [slot if own == last else own for own in pending]
        self._flying.pop()
        return pending

    def _rollout(self, slot: int, length: int) -> Rollout:
        slots, request = self._runner.slots, self._requests[self._flying[slot]]
        decoded = int(slots.start[slot]) + self._size - len(request.prompt_ids)
        ids, steps, logprobs, raw, versions = (own[slot, :decoded].tolist() for own in (
            slots.out_ids, slots.out_steps, slots.out_logprobs, slots.out_raw, slots.out_versions))
        if not all(map(math.isfinite, logprobs)) or any(map(math.isnan, raw)):
            raise FloatingPointError(DAMAGED)
        first = self._size - len(request.prompt_ids) % self._size
        ends = list(range(first, decoded + 1, self._size))
        done = Progress(request, self._flying[slot], ids, steps, logprobs, raw, ends, int(slots.forwards[slot]),
                        abs(length), "stop" if length > 0 else "length")
        rollout = done.rollout(self._lm, self._recorded, self._version(), self._size)
        return replace(rollout, weight_versions=[versions[end - 1] for end in ends])
