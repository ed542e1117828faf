"""Which layout views become: one sample and its views as tokens of a packed batch.

Block families: one clean copy, and of every view only the noisy blocks that hold a target. The clean copy never
attends to a noisy token, so all views of a sample hang off one copy (DESIGN 3, SPEC 13.1). Full attention is the case of
one block: no clean copy is left, and every view is a copy of all tokens.

Letters: T = prompt + response + hidden tail of a sample, n tokens of a document, M targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.records import Layout, Rollout, Sample, View
from dllm_rl.records.layout import NO_PARENT


@dataclass(frozen=True)
class Document:
    """Tokens of one document, its ids still relative.

    Attributes:
        ids: (n,) what the model sees.
        position, view, block: (n,) as in ``Layout``.
        rows: (M,) index of the tokens whose states predict the targets.
        targets: (M,) number of each target in the flat order of all targets (see ``targets.py``).
        shared: how many leading tokens stand in a parent document instead, the clean prompt blocks of a group.
        view_length: tokens of each view, where no clean copy is needed and the views are all of the document.
    """

    ids: Tensor
    position: Tensor
    view: Tensor
    block: Tensor
    rows: Tensor
    targets: Tensor
    shared: int
    view_length: int | None


def full_ids(sample: Sample | Rollout) -> Tensor:
    """(T,) ids of prompt, response and hidden tail."""
    return torch.tensor([*sample.prompt_ids, *sample.response_ids, *sample.tail_ids])


def block_grid(sample: Sample | Rollout, view: View, block_size: int | None) -> Tensor:
    """(T,) block of every position: the view's own, or the absolute grid of the sample's or the model's block size."""
    if view.block is not None:
        return view.block
    size = sample.block_size or block_size
    if size is None:
        raise ValueError("the sample has no block size and the model none either; pass block_size to load_model")
    return torch.arange(len(view.masked)) // size


def shared_prompt(sample: Sample | Rollout, block: Tensor) -> int:
    """Leading prompt tokens in blocks that lie wholly inside the prompt and before all others."""
    num = len(sample.prompt_ids)
    if bool((block[1:] < block[:-1]).any()):
        return 0
    while 0 < num < len(block) and block[num - 1] == block[num]:
        num -= 1
    return num


def build_document(sample: Sample | Rollout, views: Sequence[View], targets: Sequence[Tensor], mask_id: int,
                   block_size: int | None, shift: int = 0) -> Document:
    """The document of one sample and those of its views that share one block grid.

    Args:
        sample: ids.
        views: at least one, each with at least one target, all on the grid of the first.
        targets: per view (M_v,) numbers of its targets in the flat order.
        mask_id: what the model sees at masked positions.
        block_size: for samples that carry none.
        shift: how many tokens before a target the state stands that predicts it.

    Raises:
        ValueError: a target that nothing precedes, under a shift.
    """
    ids = full_ids(sample)
    block = block_grid(sample, views[0], block_size)
    position = torch.arange(len(ids))
    last = torch.stack([block[view.target].max() for view in views]).max()
    num_clean = len(ids) - len(sample.tail_ids)
    clean = position[(position < num_clean) & (block < last)]
    parts, rows, length = [(clean, ids[clean], 0)], [], len(clean)
    for number, view in enumerate(views, start=1):
        noisy = position[torch.isin(block, block[view.target])]
        parts.append((noisy, torch.where(view.masked, mask_id, ids)[noisy], number))
        rows.append(length + _predicting(view.target[noisy], shift))
        length += len(noisy)
    where = torch.cat([place for place, _, _ in parts])
    return Document(
        ids=torch.cat([tokens for _, tokens, _ in parts]),
        position=where,
        view=torch.cat([torch.full_like(place, number) for place, _, number in parts]),
        block=block[where],
        rows=torch.cat(rows),
        targets=torch.cat(list(targets)),
        shared=min(shared_prompt(sample, block), len(clean)),
        view_length=None if len(clean) else length // len(views),
    )


def _predicting(target: Tensor, shift: int) -> Tensor:
    """(M,) places of the states that predict the targets, (N,) bool, of one noisy copy."""
    places = target.nonzero()[:, 0] - shift
    if len(places) and int(places[0]) < 0:
        raise ValueError(f"the first token of a sample is a target, but this family predicts a token {shift} before it; "
                         "give samples a prompt of one token or more")
    return places


def as_layout(document: Document, doc: int, parent: int = NO_PARENT) -> Layout:
    """The document's layout under a document id and a parent."""
    return Layout(position=document.position, doc=torch.full_like(document.position, doc),
                  parent=torch.full_like(document.position, parent), view=document.view, block=document.block)
