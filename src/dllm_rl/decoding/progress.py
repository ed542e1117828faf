"""The progress record: what one request has decoded so far, and when it ends."""

from dataclasses import dataclass, field

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.decoding.request import Request
from dllm_rl.families import LanguageModel
from dllm_rl.records import Discards, Rollout


@dataclass
class Progress:
    """Decoded tokens of one request; lists of n numbers each, prompt excluded.

    Attributes:
        request: what is decoded.
        number: the request's place among those of the call.
        ids, steps, logprobs, raw_logprobs: per decoded token as in ``Rollout``, response and hidden tail together.
        block_ends: exclusive end of every block, counted in decoded tokens.
        num_forwards: denoising forwards so far.
        length: number of response tokens once the request has ended, else ``None``.
        finish_reason: ``"stop"`` or ``"length"`` once it has ended.
        discards: what was drawn and not revealed; ``None`` if that is not kept.

    Example (the stop token 9 in a first block of four, whose first place holds the end of the prompt):
        >>> progress = Progress(Request([5], max_new=8, stop_ids=frozenset({9})))
        >>> progress.commit([5, 20, 9, 30], [0, 1, 3, 2], [0.] * 4, [0.] * 4, num_prompt=1, num_forwards=3)
        >>> progress.ids, progress.length, progress.finish_reason
        ([20, 9, 30], 2, 'stop')
    """

    request: Request
    number: int = 0
    ids: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    raw_logprobs: list[float] = field(default_factory=list)
    block_ends: list[int] = field(default_factory=list)
    num_forwards: int = 0
    length: int | None = None
    finish_reason: str | None = None
    discards: Discards | None = None

    @classmethod
    def of(cls, request: Request, number: int, record_discards: bool) -> "Progress":
        """A request of which nothing is decoded."""
        return cls(request, number, discards=Discards() if record_discards else None)

    def commit(self, ids: list[int], steps: list[int], logprobs: list[float], raw_logprobs: list[float],
               num_prompt: int, num_forwards: int) -> None:
        """Add a finished block of b tokens, the first ``num_prompt`` of which belong to the prompt (SPEC 1.3, 5).

        The response ends with the first stop token, or when it has ``max_new`` tokens; the rest of the block is tail.
        """
        before = len(self.ids)
        self.ids.extend(ids[num_prompt:])
        self.steps.extend(steps[num_prompt:])
        self.logprobs.extend(logprobs[num_prompt:])
        self.raw_logprobs.extend(raw_logprobs[num_prompt:])
        self.block_ends.append(len(self.ids))
        self.num_forwards = num_forwards
        limit = self.request.max_new
        stop = next((place for place, token in enumerate(self.ids[before:limit], before + 1)
                     if token in self.request.stop_ids), None)
        if stop is not None:
            self.length, self.finish_reason = stop, "stop"
        elif len(self.ids) >= limit:
            self.length, self.finish_reason = limit, "length"

    def rollout(self, lm: LanguageModel, decoding: RecordedDecoding, version: int,
                block_size: int | None = None) -> Rollout:
        """The record of a request that has ended.

        Args:
            lm: the model; without a tokenizer there is no text.
            decoding: the settings with their classes.
            version: of the weights.
            block_size: of blocks on the absolute grid, each but the last written to a cache by a forward more; ``None``
                for blocks of a canvas.
        """
        n, tokenizer = self.length, lm.tokenizer
        text = None if tokenizer is None else str(tokenizer.decode(
            self.ids[:n], skip_special_tokens=False, clean_up_tokenization_spaces=False))
        return Rollout(
            list(self.request.prompt_ids), self.ids[:n], self.steps[:n], self.logprobs[:n], self.raw_logprobs[:n],
            tail_ids=self.ids[n:], tail_steps=self.steps[n:], tail_logprobs=self.logprobs[n:],
            tail_raw_logprobs=self.raw_logprobs[n:], finish_reason=self.finish_reason, num_forwards=self.num_forwards,
            num_cache_forwards=0 if block_size is None else len(self.block_ends) - 1, block_size=block_size,
            block_ends=self.block_ends, decoding=decoding, seed=self.request.seed,
            weight_versions=[version] * len(self.block_ends), discards=self.discards,
            text=text)
