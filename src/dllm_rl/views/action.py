"""Action views: the likelihood of what a step really did, thrown-away candidates included (METHODS 2.6).

A sampler that orders positions by the probability of the candidate it drew lets candidates that are thrown away decide what
is revealed. The revealed tokens alone are then not the whole of a step: either the candidates left behind lost
(``trace_action``), or they are scored themselves (``trace_all``).

Letters: P prompt tokens, n response tokens, m tokens of the hidden tail.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_rl.config.options import MaskViewOptions, TraceActionViewOptions, TraceAllViewOptions
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.views.grid import blocks_of
from dllm_rl.views.masks import view_of_groups, with_further_targets, with_targets
from dllm_rl.views.trace import reveal_steps, trace_groups


@dataclass(frozen=True)
class _Round:
    """One round of a trace, all (n + m,) bool: what is revealed, and what was masked and stays so in the same blocks."""

    view: View
    revealed: Tensor
    left: Tensor


def trace_action_views(sample: Sample | Rollout, options: TraceActionViewOptions, context: ViewContext) -> list[View]:
    """As ``trace`` views of every step with its tail, and the rivals of each step: what it could have revealed and did not.

    A rival is a target without a token of its own (``View.rival``): its log-probability is that of losing. The sum over all
    targets is the log-probability of every choice that influenced the response, so that its gradient, times an
    advantage, is the policy gradient without bias. Where the order looks at no candidate (``sampler_class`` random,
    sequential, distribution) there are no rivals.

    Args:
        sample: a rollout with its steps and, for the likelihood, its ``decoding``; or a sample, taken as decoded by a rule
            that looks at candidates.
        options: none.
        context: block size; nothing is drawn.

    Returns:
        views in round order, ``node`` = round.

    Raises:
        ValueError: no block size is known, or the rollout was decoded without chance.
    """
    _refuse_greedy("trace_action", sample)
    compares = not isinstance(sample, Rollout) or sample.decoding is None or sample.decoding.sampler_class == "drawn"
    views = []
    for own in _rounds(sample, context):
        rival = own.left if compares else torch.zeros_like(own.left)
        views.append(_with_rivals(own.view, rival, len(sample.prompt_ids)))
    return with_targets(views)


def _with_rivals(view: View, rival: Tensor, start: int) -> View:
    if not rival.any():
        return view
    whole = torch.cat([torch.zeros(start, dtype=torch.bool), rival])
    return replace(with_further_targets(view, rival, start), rival=whole)


def trace_all_views(sample: Sample | Rollout, options: TraceAllViewOptions, context: ViewContext) -> list[View]:
    """As ``trace`` views of every step with its tail, and the candidates that the step drew and threw away.

    They are targets whose ``labels`` are the discarded ids. The sum over all targets is the log-probability of all that
    was drawn: as exact as ``trace_action`` and for any rule, at a higher variance.

    Args:
        sample: a rollout with ``discards``; none are needed where the order looks at no candidate.
        options: none.
        context: block size; nothing is drawn.

    Returns:
        views in round order, ``node`` = round.

    Raises:
        ValueError: no block size is known, the discards were not recorded, or the rollout was decoded without chance.
    """
    _refuse_greedy("trace_all", sample)
    rounds = list(_rounds(sample, context))
    drawn = _discards_by_step(sample) if rounds else {}
    start, steps = len(sample.prompt_ids), reveal_steps(sample)
    views = []
    for own in rounds:
        labels = torch.full((len(own.view.masked),), -1)
        for step in steps[own.revealed].unique().tolist():
            for place, token in drawn.get(step, []):
                labels[start + place] = token
        discarded = labels[start:] >= 0
        views.append(replace(with_further_targets(own.view, discarded, start), labels=labels) if discarded.any()
                     else own.view)
    return with_targets(views)


def _discards_by_step(sample: Sample | Rollout) -> dict[int, list[tuple[int, int]]]:
    """(place, id) of what each step discarded."""
    discards = sample.discards if isinstance(sample, Rollout) else None
    settings = sample.decoding if isinstance(sample, Rollout) else None
    if discards is None and settings is not None and settings.record_discards:
        raise ValueError("views 'trace_all' score the candidates that were drawn and thrown away, and the loop that "
                         "decoded the rollout keeps none though record_discards is set; use views=trace_action, or a "
                         "loop that does (dllm_rl.generate, decoders block and canvas)")
    if discards is None and (settings is None or settings.sampler_class == "drawn"):
        raise ValueError("views 'trace_all' score the candidates that were drawn and thrown away, and the rollout has no "
                         "record of them; decode with record_discards=true, or use views=trace_action, which need none")
    found: dict[int, list[tuple[int, int]]] = {}
    if discards is not None:
        for step, place, token in zip(discards.steps, discards.places, discards.ids, strict=True):
            found.setdefault(step, []).append((place, token))
    return found


def _refuse_greedy(name: str, sample: Sample | Rollout) -> None:
    if isinstance(sample, Rollout) and sample.decoding is not None and sample.decoding.sampler_class == "greedy":
        raise ValueError(f"views {name!r} need choices that were drawn, and the rollout was decoded at temperature 0; "
                         "decode with a temperature above 0")


def _rounds(sample: Sample | Rollout, context: ViewContext) -> Iterator[_Round]:
    """The rounds of a trace on the grid it was decoded on, every token of the tail that had an influence scored."""
    start, num_response = len(sample.prompt_ids), len(sample.response_ids)
    grid = MaskViewOptions()
    blocks = blocks_of(sample, grid, context)[start:]
    groups, influential = trace_groups(sample, blocks)
    cells, compared = _decoding_blocks(sample, blocks)
    num_rounds = int(groups[:num_response].max()) + 1 if num_response else 0
    for number in range(num_rounds):
        revealed = influential & (groups == number)
        open_cells = cells[revealed & compared].unique()
        view = view_of_groups(sample, groups >= number, revealed[:num_response], grid, context, node=number)
        view = with_further_targets(view, revealed & (torch.arange(len(groups)) >= num_response), start)
        yield _Round(view, revealed, torch.isin(cells, open_cells) & (groups > number))


def _decoding_blocks(sample: Sample | Rollout, blocks: Tensor) -> tuple[Tensor, Tensor]:
    """(n + m,) int64 block a token was decoded in, and (n + m,) bool whether its step compared candidates at all.

    The blocks of a canvas are shorter than what attends to itself; a record says where they end. One that ``opens_alone``
    reveals its first position by rule.
    """
    if not isinstance(sample, Rollout) or not sample.block_ends:
        return blocks, torch.ones_like(blocks, dtype=torch.bool)
    place = torch.arange(len(blocks))
    cells = torch.searchsorted(torch.tensor(sample.block_ends), place, right=True)
    if sample.decoding is None or not sample.decoding.opens_alone:
        return cells, torch.ones_like(blocks, dtype=torch.bool)
    return cells, torch.isin(place, torch.tensor([0, *sample.block_ends]), invert=True)
