"""What the slot table says of a sequence, as records for those outside."""

import math

from dllm_rl.decoding.canvas import DAMAGED
from dllm_rl.decoding.progress import Progress
from dllm_rl.engine.events import BlockDone, Unmasked
from dllm_rl.engine.job import Job
from dllm_rl.engine.slots import Slots
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout


def block_done(slots: Slots, slot: int, job: Job, start: int, length: int | None) -> BlockDone:
    """What a finished block adds to the response.

    Args:
        slots: the table, in which the block is committed.
        slot: where.
        job: whose.
        start: position of the block.
        length: tokens of a response that has ended, else ``None``.
    """
    begin = max(start - len(job.request.prompt_ids), 0)
    end = start + slots.block_size - len(job.request.prompt_ids) if length is None else length      # a canvas' end too
    return BlockDone(job.ticket, *(own[slot, begin:end].tolist() for own in (
        slots.out_ids, slots.out_steps, slots.out_logprobs)))


def unmasked(slots: Slots, slot: int, job: Job, start: int) -> Unmasked:
    """The response tokens of a block that is not finished; ``start`` is its position."""
    place = start - len(job.request.prompt_ids)
    ids = slots.ids[slot, max(-place, 0):max(job.request.max_new - place, 0)].tolist()
    return Unmasked(job.ticket, max(place, 0), ids)


def rollout_of(lm: LanguageModel, slots: Slots, slot: int, job: Job, length: int, version: int) -> Rollout:
    """The rollout of a sequence that has ended.

    Args:
        lm: the model.
        slots: the table.
        slot: where.
        job: what was decoded.
        length: response tokens; negative where the limit cut it.
        version: of the weights of tokens that were never decoded.

    Raises:
        FloatingPointError: the model's logits are NaN or infinite.
    """
    request, size = job.request, slots.block_size
    is_canvas = job.settings.is_canvas
    decoded = int(slots.start[slot]) + size - len(request.prompt_ids)
    decoded = min(decoded, request.max_new) if is_canvas else decoded
    ids, steps, logprobs, raw, versions = (own[slot, :decoded].tolist() for own in (
        slots.out_ids, slots.out_steps, slots.out_logprobs, slots.out_raw, slots.out_versions))
    if not all(map(math.isfinite, logprobs)) or any(map(math.isnan, raw)):
        raise FloatingPointError(DAMAGED)
    first = size if is_canvas else size - len(request.prompt_ids) % size
    ends = [min(end, decoded) for end in range(first, decoded + size, size)] if is_canvas else \
        list(range(first, decoded + 1, size))
    if is_canvas:
        rest = request.max_new - decoded
        ids, steps = ids + [lm.mask_token_id] * rest, steps + [0] * rest
        logprobs, raw = logprobs + [0.0] * rest, raw + [0.0] * rest
    done = Progress(request, job.ticket, ids, steps, logprobs, raw, ends, int(slots.forwards[slot]), abs(length),
                    "stop" if length > 0 else "length", job.discards)
    rollout = done.rollout(lm, job.settings.recorded(job.config), version, None if is_canvas else size)
    rollout.weight_versions = [versions[end - 1] for end in ends]
    return rollout
