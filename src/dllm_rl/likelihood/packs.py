"""Packed batches: documents of many samples in one row, capped by a token budget.

Letters: N tokens of a pack, M targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from dllm_rl.likelihood.documents import Document, as_layout, block_grid, build_document
from dllm_rl.likelihood.targets import Targets, enumerate_targets
from dllm_rl.records import Layout, Rollout, Sample, View


@dataclass(frozen=True)
class Pack:
    """One row of tokens ready for the model.

    Attributes:
        ids: (N,) int64.
        layout: (N,).
        rows: (M,) index of the tokens whose states predict the targets.
        targets: (M,) number of each target in the flat order of all targets.
        view_length: if given, every so many tokens attend to each other alone, so that they may be rows of a batch.
    """

    ids: Tensor
    layout: Layout
    rows: Tensor
    targets: Tensor
    view_length: int | None


@dataclass
class _OpenPack:
    """A pack being filled; prompts already in it are shared by further samples of the same group."""

    documents: list[Document] = field(default_factory=list)
    parents: dict[tuple[object, ...], int] = field(default_factory=dict)
    prompts: list[tuple[object, ...] | None] = field(default_factory=list)
    length: int = 0

    def takes(self, document: Document, prompt: tuple[object, ...] | None, max_tokens: int | None) -> bool:
        """Whether there is room for the document, and its views are as long as those that are here."""
        if not self.documents:
            return True
        fits = not max_tokens or self.length + self.cost(document, prompt) <= max_tokens
        return fits and document.view_length == self.documents[0].view_length

    def cost(self, document: Document, prompt: tuple[object, ...] | None) -> int:
        """Tokens the document would add."""
        return len(document.ids) - (document.shared if prompt in self.parents else 0)

    def add(self, document: Document, prompt: tuple[object, ...] | None) -> None:
        """Take one more document."""
        self.length += self.cost(document, prompt)
        self.documents.append(document)
        self.prompts.append(prompt)
        if prompt is not None:
            self.parents.setdefault(prompt, len(self.parents))

    def close(self) -> Pack:
        """Lay out the tokens: first the shared prompts, then every document's own tokens."""
        ids, layouts, rows, targets, length = [], [], [], [], 0
        written: set[tuple[object, ...]] = set()
        for number, (document, prompt) in enumerate(zip(self.documents, self.prompts, strict=True)):
            own = as_layout(document, len(self.parents) + number,
                            self.parents[prompt] if prompt is not None else -1)
            first = document.shared if prompt is not None else 0
            if prompt is not None and prompt not in written:
                written.add(prompt)
                ids.append(document.ids[:first])
                layouts.append(as_layout(document, self.parents[prompt]).index(slice(None, first)))
                length += first
            ids.append(document.ids[first:])
            layouts.append(own.index(slice(first, None)))
            rows.append(document.rows - first + length)
            targets.append(document.targets)
            length += len(document.ids) - first
        return Pack(torch.cat(ids), Layout.join(layouts), torch.cat(rows), torch.cat(targets),
                    self.documents[0].view_length)


def build_packs(samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]], mask_id: int,
                block_size: int | None = None, max_tokens: int | None = None,
                shift: int = 0) -> tuple[list[Pack], Targets]:
    """Lay out all views of all samples in packs of at most ``max_tokens`` tokens.

    Samples keep their order, so that the samples of a group stand together and share their prompt's blocks. A sample
    whose views exceed the budget is split between views, each part with its own clean copy. Documents without a clean
    copy, as all of full attention are, share nothing and come in the order of their lengths, one length to a pack.
    ``shift`` is the family's.

    Raises:
        ValueError: a single view exceeds the budget.
    """
    targets = enumerate_targets(samples, views, block_size)
    numbers = targets.split(torch.arange(len(targets.labels)))
    build = partial(build_document, mask_id=mask_id, block_size=block_size, shift=shift)
    documents = [(document, tuple(sample.prompt_ids))
                 for sample, own, ids in zip(samples, views, numbers, strict=True)
                 for group in _grid_groups(sample, own, ids, block_size)
                 for document in _fit(sample, group, max_tokens, build)]
    packs, current = [], _OpenPack()
    for document, prompt in sorted(documents, key=lambda pair: pair[0].view_length or 0):
        key = (prompt, document.block[:document.shared].numpy().tobytes()) if document.shared else None
        if not current.takes(document, key, max_tokens):
            packs.append(current.close())
            current = _OpenPack()
        current.add(document, key)
    if current.documents:
        packs.append(current.close())
    return packs, targets


_Numbered = list[tuple[View, Tensor]]


def _grid_groups(sample: Sample | Rollout, views: Sequence[View], numbers: Sequence[Tensor],
                 block_size: int | None) -> list[_Numbered]:
    """The views with targets, grouped by their block grid: views on one grid share a clean copy."""
    groups: dict[bytes, _Numbered] = {}
    for view, number in zip(views, numbers, strict=True):
        if len(number):
            groups.setdefault(block_grid(sample, view, block_size).numpy().tobytes(), []).append((view, number))
    return list(groups.values())


def _fit(sample: Sample | Rollout, views: _Numbered, max_tokens: int | None,
         build: Callable[..., Document]) -> list[Document]:
    document = build(sample, [view for view, _ in views], [number for _, number in views])
    if max_tokens is None or len(document.ids) <= max_tokens:
        return [document]
    if len(views) == 1:
        raise ValueError(f"one view of a sample takes {len(document.ids)} tokens, more than "
                         f"max_tokens_per_micro_batch={max_tokens}; raise it to at least that")
    half = len(views) // 2
    return [part for some in (views[:half], views[half:])
            for part in _fit(sample, some, max_tokens, build)]
