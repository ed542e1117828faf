"""The rollout record, and the rollout with its score."""

from dataclasses import dataclass, field

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.records.discards import Discards
from dllm_rl.records.sample import check_sequence
from dllm_rl.records.task import Task


@dataclass
class Rollout:
    """One generated response with all that training needs.

    A block that ends inside (a stop token or the length limit cut it) leaves a *hidden tail*: tokens that were decoded
    beside visible ones and influenced them, but are not part of the answer.

    Attributes:
        prompt_ids: P token ids without pads.
        response_ids: n token ids, the stop token included.
        step_map: n ids; 1-based number of this sequence's denoising forward that revealed the token.
        logprobs: n log-probabilities (nats) under the decoding distribution: mask id and ids the tokenizer lacks
            removed, temperature, top-k, top-p. At temperature 0 that at temperature 1 after the filters.
        raw_logprobs: n log-probabilities of the plain log-softmax over the whole vocabulary at temperature 1.
        tail_ids, tail_steps, tail_logprobs, tail_raw_logprobs: the same for the hidden tail.
        finish_reason: ``"stop"`` or ``"length"``.
        num_forwards: denoising forwards of this sequence.
        num_cache_forwards: forwards of this sequence that only wrote a finished block's keys and values (the prefill
            not counted; the last block needs none).
        block_size: size of the decoding blocks, which lie on the absolute grid of the sequence.
        block_ends: exclusive end of every decoded block, counted in tokens of response + tail.
        decoding: the settings it was decoded with, with sampler and replay class.
        seed: 64-bit seed of this request; every draw is a function of it (see ``decoding/draws.py``).
        weight_versions: version of the weights each block was decoded with.
        discards: what was drawn and not revealed, if it was recorded (option ``record_discards``).
        text: the decoded response, special tokens kept; ``None`` without a tokenizer.

    Example (prompt of 3, blocks of 4, stop token 9 in the second block; 30 and 31 were decoded beside it):
        >>> r = Rollout([1, 2, 3], [20, 21, 9], [1, 2, 3], tail_ids=[30, 31], tail_steps=[2, 3], block_ends=[1, 5])
        >>> len(r.response_ids) + len(r.tail_ids) == r.block_ends[-1]
        True
    """

    prompt_ids: list[int]
    response_ids: list[int]
    step_map: list[int]
    logprobs: list[float] | None = None
    raw_logprobs: list[float] | None = None
    tail_ids: list[int] = field(default_factory=list)
    tail_steps: list[int] = field(default_factory=list)
    tail_logprobs: list[float] | None = None
    tail_raw_logprobs: list[float] | None = None
    finish_reason: str | None = None
    num_forwards: int = 0
    num_cache_forwards: int = 0
    block_size: int | None = None
    block_ends: list[int] = field(default_factory=list)
    decoding: RecordedDecoding | None = None
    seed: int = 0
    weight_versions: list[int] = field(default_factory=list)
    discards: Discards | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        check_sequence(self.prompt_ids, self.response_ids, self.step_map)
        check_sequence([], self.tail_ids, self.tail_steps)
        for name, values in (("logprobs", self.logprobs), ("raw_logprobs", self.raw_logprobs)):
            if values is not None and len(values) != len(self.response_ids):
                raise ValueError(f"{name} has {len(values)} values for {len(self.response_ids)} response tokens")


@dataclass(frozen=True)
class Scored:
    """A rollout with what its task's reward said.

    Attributes:
        task: the problem.
        rollout: the response.
        reward: a number for the whole response, or one per response token (process reward).
        correct: whether the answer is right, where the task has a right answer; ``None`` otherwise.
        answer: the extracted answer; ``None`` if none was found.
        detail: named further numbers, for the log.

    Example:
        >>> task = Task(id="a", question="2+3?", answer="5")
        >>> Scored(task, Rollout([1], [2], [1]), reward=1.0, correct=True, answer="5").reward
        1.0
    """

    task: Task
    rollout: Rollout
    reward: float | list[float]
    correct: bool | None = None
    answer: str | None = None
    detail: dict[str, float] = field(default_factory=dict)
