"""The progress record: what one request has decoded so far, and when it ends."""

from dataclasses import dataclass, field

from dllm_rl.decoding.request import Request


@dataclass
class Progress:
    """Decoded tokens of one request; lists of n numbers each, prompt excluded.

    Attributes:
        request: what is decoded.
        ids, steps, logprobs, raw_logprobs: per decoded token as in ``Rollout``, response and hidden tail together.
        block_ends: exclusive end of every block, counted in decoded tokens.
        num_forwards: denoising forwards so far.
        length: number of response tokens once the request has ended, else ``None``.
        finish_reason: ``"stop"`` or ``"length"`` once it has ended.

    Example (the stop token 9 in a first block of four, whose first place holds the end of the prompt):
        >>> progress = Progress(Request([5], max_new=8, stop_ids=frozenset({9})))
        >>> progress.commit([5, 20, 9, 30], [0, 1, 3, 2], [0.] * 4, [0.] * 4, num_prompt=1, num_forwards=3)
        >>> progress.ids, progress.length, progress.finish_reason
        ([20, 9, 30], 2, 'stop')
    """

    request: Request
    ids: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    raw_logprobs: list[float] = field(default_factory=list)
    block_ends: list[int] = field(default_factory=list)
    num_forwards: int = 0
    length: int | None = None
    finish_reason: str | None = None

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
