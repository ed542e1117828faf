"""How much work an update is: the tokens of its prompts and responses as training lays them out.

Nothing is estimated by formula: the first update is laid out by the very code that trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding.request import encode_prompt, position_grain, resolve_block_size, resolve_canvas
from dllm_rl.decoding.schedules import num_steps
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import build_packs
from dllm_rl.records import Discards, Rollout, Sample, Task, View, ViewContext
from dllm_rl.tasks.prompts import render_prompt
from dllm_rl.views import views_in

MAX_PROMPTS = 256
"""Prompts that are tokenised to learn how long they are."""

MAX_LAID_OUT = 256
"""Responses that are laid out; a larger update is taken to be more of the same."""


@dataclass(frozen=True)
class Prompts:
    """Some prompts of a run.

    Attributes:
        ids: token ids of those that fit the model together with the longest response; at least one.
        too_long: number of the others.
        slots: positions that the decoder's cache may need per sequence: the longest full blocks of a prompt, and behind
            them the longest rest with response, its last block filled up, of any other prompt of the batch.
        block_size: of decoding.
    """

    ids: list[list[int]]
    too_long: int
    slots: int
    block_size: int

    @property
    def mean(self) -> float:
        """Mean number of tokens."""
        return sum(map(len, self.ids)) / len(self.ids)

    @property
    def largest(self) -> int:
        """Largest number of tokens."""
        return max(map(len, self.ids))


def read_prompts(lm: LanguageModel, tasks: Sequence[Task], prompt: PromptConfig, decoding: DecodingConfig) -> Prompts:
    """Render and tokenise the prompts of tasks.

    Raises:
        ValueError: no prompt format for a task, no tokenizer, no block size, or not one prompt that fits.
    """
    size, limit = position_grain(lm, decoding), int(lm.backbone.config.max_position_embeddings)
    ids = [encode_prompt(lm, render_prompt(task, lm.family.prompts, prompt.template, prompt.think)) for task in tasks]
    room = limit // size * size - decoding.max_gen_length
    fitting = [own for own in ids if len(own) <= room]
    if not fitting:
        raise ValueError(f"no prompt fits: the shortest of {len(ids)} has {min(map(len, ids))} tokens, and max_gen_length "
                         f"{decoding.max_gen_length} leaves {max(room, 0)} of the model's {limit} positions; lower "
                         "max_gen_length")
    slots = max(len(own) // size * size for own in fitting) + max(
        -(-(len(own) % size + decoding.max_gen_length) // size) * size for own in fitting)
    if lm.block_size is None:
        kept = slots if decoding.cache in ("prefix", "dual") else 0
        return Prompts(fitting, len(ids) - len(fitting), kept, resolve_canvas(lm, decoding, one_block=False)[0])
    return Prompts(fitting, len(ids) - len(fitting), slots, size)


def longest_rollout(lm: LanguageModel, prompt: list[int], decoding: DecodingConfig, seed: int) -> Rollout:
    """A response of the largest length in the largest number of steps: one token at a time, left to right.

    Where a block may have fewer steps than positions, its last step reveals the rest. No token is a pad.

    Example (blocks of 4, a prompt of 3, ``max_gen_length`` 3): steps 1, 2, 3 and a hidden tail of 4 and 5.
    """
    token = 1 if lm.pad_token_id == 0 else 0
    if lm.block_size is None:
        length, size = decoding.max_gen_length, resolve_canvas(lm, decoding, one_block=False)[0]
        steps, ends = list(range(1, length + 1)), list(range(size, length + 1, size))
        return Rollout(prompt, [token] * length, steps, block_ends=ends, discards=_left_behind(steps, ends), seed=seed)
    size = resolve_block_size(lm, decoding)
    start, length = len(prompt), decoding.max_gen_length
    steps = []
    for begin in range(start // size * size, start + length, size):
        done = steps[-1] if steps else 0
        count = begin + size - max(begin, start)
        steps += [done + 1 + min(place, num_steps(decoding, size) - 1) for place in range(count)]
    ends = list(range(size - start % size, len(steps) + 1, size))
    return Rollout(prompt, [token] * length, steps[:length], tail_ids=[token] * (len(steps) - length),
                   tail_steps=steps[length:], block_size=size, block_ends=ends, discards=_left_behind(steps, ends),
                   seed=seed)


def _left_behind(steps: list[int], ends: list[int]) -> Discards:
    """A discarded candidate, of id 0, at every position of its block that a step left masked."""
    found = Discards()
    for begin, end in zip([0, *ends], ends, strict=False):
        for step in sorted(set(steps[begin:end])):
            places = [place for place in range(begin, end) if steps[place] > step]
            found.add(step, places, [0] * len(places))
    return found


@dataclass(frozen=True)
class UpdateLayout:
    """An update as training lays it out.

    Attributes:
        num_samples: samples or responses of the update.
        num_laid_out: how many were laid out; if not all, the totals are those of a part, in proportion.
        num_views: views with a target.
        num_tokens: tokens of all packs.
        num_row_tokens: what upstream forwards instead: per view the longest prompt and twice the longest response.
        num_packs: micro-batches.
        pack_tokens, pack_targets: largest number of tokens, and of targets, in one pack.
        needed: tokens of the largest view, which one pack must hold.
    """

    num_samples: int
    num_laid_out: int
    num_views: int
    num_tokens: int
    num_row_tokens: int
    num_packs: int
    pack_tokens: int
    pack_targets: int
    needed: int


def largest_view(lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]]) -> int:
    """Tokens of the largest view of some samples with what it attends to; 0 if no view has a target."""
    alone = [pack for sample, own in zip(samples, views, strict=True) for view in own
             for pack in build_packs([sample], [[view]], lm.mask_token_id, lm.block_size,
                                    shift=lm.family.logit_shift)[0]]
    return max((len(pack.ids) for pack in alone), default=0)


def lay_out(lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]], max_tokens: int,
            num_samples: int) -> UpdateLayout:
    """Lay out samples under a token budget, which is raised if one view needs more.

    Args:
        lm: the model; its weights are not needed.
        samples: the update's, or the first of them.
        views: of each.
        max_tokens: budget of a pack.
        num_samples: how many samples the update has.

    Returns:
        the layout of the whole update.

    Raises:
        ValueError: no view of any sample has a target.
    """
    needed = largest_view(lm, samples, views)
    packs, targets = build_packs(samples, views, lm.mask_token_id, lm.block_size, max(max_tokens, needed),
                                 lm.family.logit_shift)
    if not packs:
        raise ValueError("the views of the first update hold no target, so that there is nothing to train; choose "
                         "other views or options of them")
    row = max(len(sample.prompt_ids) for sample in samples) + 2 * max(len(sample.response_ids) for sample in samples)
    share = num_samples / len(samples)
    return UpdateLayout(
        num_samples=num_samples, num_laid_out=len(samples), num_views=round(targets.num_rows * share),
        num_tokens=round(sum(len(pack.ids) for pack in packs) * share),
        num_row_tokens=round(targets.num_rows * row * share), num_packs=-(-len(packs) * num_samples // len(samples)),
        pack_tokens=max(len(pack.ids) for pack in packs), pack_targets=max(len(pack.rows) for pack in packs),
        needed=needed)


def rollout_layout(config: RlConfig, folder: Path, lm: LanguageModel, prompts: Sequence[list[int]]) -> UpdateLayout:
    """The first update of a step in the worst case: every response as long, and in as many steps, as allowed.

    Args:
        config: the run.
        folder: what the user's own views are resolved against.
        lm: the model; its weights are not needed.
        prompts: of the first step's tasks, in order, or of the first of them.
    """
    size = config.rollout.num_response_per_task
    total = config.rollout.num_task_per_step * size
    num_samples = -(-total // min(config.updates_per_step, total))
    rollouts = [longest_rollout(lm, prompts[number // size], config.rollout.decoding, number)
                for number in range(min(num_samples, MAX_LAID_OUT, len(prompts) * size))]
    context = ViewContext("full" if lm.block_size is None else None, config.seed, lm.pad_token_id,
                          num_passes=config.num_train_epochs)
    views = views_in(context, config.views, rollouts, folder)
    return lay_out(lm, rollouts, views, config.max_tokens_per_micro_batch, num_samples)
