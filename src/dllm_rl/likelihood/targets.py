"""The flat order of targets: sample by sample, view by view, left to right.

Letters: T tokens of a sample, M targets in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.likelihood.documents import block_grid, full_ids
from dllm_rl.records import Rollout, Sample, View

_BLOCK_BITS = 32
"""A view has fewer than 2^32 blocks."""


@dataclass(frozen=True)
class Targets:
    """Every target of a batch of samples and their views.

    Attributes:
        labels: (M,) int64 ids to score.
        weight: (M,) float32 weight in its view.
        response: (M,) int64 number of the sample.
        row: (M,) int64 number of the view, counted through all samples.
        position: (M,) int64 place in the sample.
        own: (M,) bool; the label is the sample's own token, revealed in this view.
        rival: (M,) bool; scored by the log-mass of losing (``View.rival``).
        cutoff: (M,) float32 what a rival had to score below; NaN where the rule of the decoding says.
        step: (M,) int64 number of view and block; the targets of one step of a decoding in the order of positions.
        counts: per sample, per view the number of targets.
        settings: per sample what it was decoded with, if that is known.
    """

    labels: Tensor
    weight: Tensor
    response: Tensor
    row: Tensor
    position: Tensor
    own: Tensor
    rival: Tensor
    cutoff: Tensor
    step: Tensor
    counts: list[list[int]]
    settings: list[RecordedDecoding | None]

    @property
    def num_rows(self) -> int:
        """Views that hold a target."""
        return sum(count > 0 for counts in self.counts for count in counts)

    def split(self, values: Tensor) -> list[list[Tensor]]:
        """(M,) values as one tensor per view of each sample."""
        parts = iter(values.split([count for counts in self.counts for count in counts]))
        return [[next(parts) for _ in counts] for counts in self.counts]


def enumerate_targets(samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]],
                      block_size: int | None = None) -> Targets:
    """Number the targets of every view.

    Args:
        samples: the samples.
        views: of each.
        block_size: for samples with rivals whose blocks neither they nor their views know.

    Raises:
        ValueError: the lists differ in length, or a view's length is not that of its sample.
    """
    if len(samples) != len(views):
        raise ValueError(f"{len(samples)} samples but {len(views)} lists of views; one list per sample is needed")
    parts: list[_Columns] = []
    for number, (sample, own) in enumerate(zip(samples, views, strict=True)):
        length = len(full_ids(sample))
        for view in own:
            if len(view.masked) != length:
                raise ValueError(f"a view of sample {number} has {len(view.masked)} positions, the sample {length} "
                                 "(prompt + response + tail); build the views from this very sample")
            parts.append(_columns(sample, view, number, len(parts), block_size))
    flat = {name: torch.cat(column) for name, column in zip(_NAMES, zip(*(_EMPTY, *parts), strict=True), strict=True)}
    return Targets(**flat, counts=[[int(view.target.sum()) for view in own] for own in views],
                   settings=[sample.decoding if isinstance(sample, Rollout) else None for sample in samples])


_Columns = tuple[Tensor, ...]
_NAMES = ("labels", "weight", "response", "row", "position", "own", "rival", "cutoff", "step")
_EMPTY: _Columns = tuple(torch.zeros(0, dtype=kind) for kind in (
    torch.long, torch.float32, torch.long, torch.long, torch.long, torch.bool, torch.bool, torch.float32, torch.long))


def _columns(sample: Sample | Rollout, view: View, number: int, row: int, block_size: int | None) -> _Columns:
    """The columns of one view's targets, in the order of ``_NAMES``."""
    where, ids = view.target.nonzero()[:, 0], full_ids(sample)
    given = torch.full_like(ids, -1) if view.labels is None else view.labels
    rival = torch.zeros_like(view.target) if view.rival is None else view.rival
    step = torch.full_like(where, row << _BLOCK_BITS)
    if view.rival is not None:      # a number of its own for every block of the view
        block = block_grid(sample, view, block_size)[where]
        step = step + block - block.min()
    cutoff = torch.full_like(where, float("nan") if view.cutoff is None else view.cutoff, dtype=torch.float32)
    return (torch.where(given < 0, ids, given)[where], view.weight[where], torch.full_like(where, number),
            torch.full_like(where, row), where, (given[where] < 0) & ~rival[where], rival[where], cutoff, step)
