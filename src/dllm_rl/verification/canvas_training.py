"""Checks of the ``training`` section for full-attention models: rows, log-probabilities, losses, gradients.

Upstream pads every sequence to one length. Pads behind a response that are never trained are, in our records, its hidden
tail: masked in random views, revealed with their step in trace views, never predicted (SPEC 3.1, 4.1).

Letters: L0 padded prompt, L1 padded response, L = L0 + L1, R rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.config.options import ReductionOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout, View, ViewContext
from dllm_rl.verification.check import Check, close, exact
from dllm_rl.verification.packed_loss import PackedLoss, StoredLogProbs, check_rl, check_sft, upstream_config
from dllm_rl.verification.reference import Entry
from dllm_rl.views import build_views, view_of_mask

FULL = ViewContext(block_size="full")


@dataclass(frozen=True)
class Pads:
    """What upstream's training forward of a family does with pads.

    Attributes:
        in_prompt: left pads are attended to and counted in positions, as if they were text.
        trained: the pad's embedding gets a gradient.
    """

    in_prompt: bool
    trained: bool


PADS = {"dream": Pads(in_prompt=False, trained=False), "llada": Pads(in_prompt=True, trained=True)}
"""By family. Dream's rotary embedding is relative, so that positions may start behind its left pads."""


def canvases(entry: Entry, pads: Pads) -> list[Rollout]:
    """The entry's sequences as rollouts of one canvas length.

    Raises:
        ValueError: a pad that is never trained stands before a token that is; such a record does not exist.
    """
    data, pad, post_num = entry.index["training_data"], entry.fields["pad_id"], entry.fields["config"]["post_num"]
    width, length = entry.fields["start_pos"], entry.fields["config"]["max_gen_length"]
    rollouts = []
    for prompt, response, steps in zip(data["prompts"], data["responses"], data["step_maps"], strict=True):
        ids = torch.tensor(response + [pad] * (length - len(response)))
        num_pads = int((ids == pad).sum())
        end = length if post_num is None else length - max(num_pads - post_num, 0)
        if bool((ids[end:] != pad).any()):
            raise ValueError(f"{entry.section}/{entry.name}: a response goes on behind its pads")
        left = [pad] * (width - len(prompt)) if pads.in_prompt else []
        later = [step + 1 for step in steps]      # stored from 0, ours count from 1
        rollouts.append(Rollout(left + prompt, ids[:end].tolist(), later[:end], tail_ids=ids[end:].tolist(),
                                tail_steps=later[end:length]))
    return rollouts


def _trace(rollouts: list[Rollout], config: RlConfig, width: int) -> list[list[View]]:
    return build_views(config.views.name, rollouts, block_size="full",
                       **{**config.views.option_values(), "post_num": None})


def _drawn(complement: bool) -> Callable[[list[Rollout], RlConfig, int], list[list[View]]]:
    def build(rollouts: list[Rollout], config: RlConfig, width: int) -> list[list[View]]:
        """Masks in upstream's order of draws: the probability of a row, then a number for each of its places."""
        options = config.views.options
        views = []
        for rollout in rollouts:
            own, num = [], len(rollout.response_ids)
            for _ in range(options.mask_times_per_sample):
                probability = (options.upper_p - options.lower_p) * torch.rand(1) + options.lower_p
                drawn = torch.rand(width + num + len(rollout.tail_ids)) < probability
                mask = drawn[width:width + num]
                own += [view_of_mask(rollout, half, options.model_copy(update={"post_num": None}), FULL)
                        for half in ([mask, ~mask] if complement else [mask])]
            views.append([view for view in own if bool(view.target.any())])
        return views

    return build


VIEWS = {"trace": _trace, "random": _drawn(complement=False), "coupled": _drawn(complement=True)}
"""How upstream's views come about, by the name of ours; what ``post_num`` leaves out is tail already."""


def _padded(values: Tensor, width: int, fill: int) -> Tensor:
    """(L,) of a row of our canvas, which may lack left pads."""
    return torch.cat([values.new_full((width - len(values),), fill), values])


def _check_rows(entry: Entry, rollouts: list[Rollout], views: list[list[View]]) -> Iterator[Check]:
    pad, mask = entry.fields["pad_id"], entry.fields["mask_id"]
    noisy, labels, targets = [], [], []
    for rollout, own in zip(rollouts, views, strict=True):
        ids = torch.tensor(rollout.prompt_ids + rollout.response_ids + rollout.tail_ids)
        length = entry.fields["start_pos"] + len(rollout.response_ids) + len(rollout.tail_ids)
        for view in own:
            noisy.append(_padded(torch.where(view.masked, mask, ids), length, pad))
            labels.append(_padded(ids, length, pad))
            targets.append(_padded(view.target, length, 0))
    yield exact("noisy_ids", torch.stack(noisy), entry.array("noisy_ids"))
    yield exact("labels", torch.stack(labels), entry.array("labels"))
    yield exact("p_mask", torch.stack(targets), entry.array("p_mask"))


def _loss(entry: Entry, lm: LanguageModel) -> tuple[RlConfig, PackedLoss, list[Check]]:
    """The upstream run of an entry, its targets, and the checks of its rows."""
    config, pads = upstream_config(entry, "upstream_full"), PADS[lm.family.name]
    rollouts = canvases(entry, pads)
    torch.manual_seed(entry.fields["seed"])
    views = VIEWS[config.views.name](rollouts, config, entry.fields["start_pos"])
    loss = PackedLoss(entry, lm, rollouts, views, trains_pad_row=pads.trained)
    return config, loss, list(_check_rows(entry, rollouts, views))


def check_canvas_rl(entry: Entry, lm: LanguageModel) -> Iterator[Check]:
    """Rows, rewards, log-probabilities, losses and gradients of an ``rl`` entry."""
    config, loss, rows = _loss(entry, lm)
    yield from rows
    if not all(check.passed for check in rows):
        return                         # nothing stored belongs to other rows
    shift = lm.family.logit_shift      # column j of a shifted family's log-probabilities belongs to token j + 1
    at = entry.array("p_mask").bool()[:, shift:]
    rewards = torch.tensor(entry.index["training_data"]["rewards"])[loss.targets.response]
    yield close("row_rewards", rewards, torch.tensor(entry.fields["row_rewards"])[loss.targets.row], 0.0)
    stored = StoredLogProbs(entry.array("logp")[at], entry.array("old_logp")[at], rewards)
    yield from check_rl(config, loss, stored)


def check_canvas_sft(entry: Entry, lm: LanguageModel) -> Iterator[Check]:
    """Rows, loss and gradients of an ``sft`` entry."""
    _, loss, rows = _loss(entry, lm)
    yield from rows
    if all(check.passed for check in rows):
        yield from check_sft(loss, ReductionOptions(divisor="targets"))
