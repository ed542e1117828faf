"""The flat order of targets: sample by sample, view by view, left to right.

Letters: T tokens of a sample, M targets in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.likelihood.documents import full_ids
from dllm_rl.records import Rollout, Sample, View


@dataclass(frozen=True)
class Targets:
    """Every target of a batch of samples and their views.

    Attributes:
        labels: (M,) int64 ids to score.
        weight: (M,) float32 weight in its view.
        response: (M,) int64 number of the sample.
        row: (M,) int64 number of the view, counted through all samples.
        position: (M,) int64 place in the sample.
        counts: per sample, per view the number of targets.
    """

    labels: Tensor
    weight: Tensor
    response: Tensor
    row: Tensor
    position: Tensor
    counts: list[list[int]]

    @property
    def num_rows(self) -> int:
        """Views that hold a target."""
        return sum(count > 0 for counts in self.counts for count in counts)

    def split(self, values: Tensor) -> list[list[Tensor]]:
        """(M,) values as one tensor per view of each sample."""
        parts = iter(values.split([count for counts in self.counts for count in counts]))
        return [[next(parts) for _ in counts] for counts in self.counts]


def enumerate_targets(samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]]) -> Targets:
    """Number the targets of every view.

    Raises:
        ValueError: the lists differ in length, or a view's length is not that of its sample.
    """
    if len(samples) != len(views):
        raise ValueError(f"{len(samples)} samples but {len(views)} lists of views; one list per sample is needed")
    columns: dict[str, list[Tensor]] = {"labels": [], "weight": [], "response": [], "row": [], "position": []}
    row = 0
    for number, (sample, own) in enumerate(zip(samples, views, strict=True)):
        ids = full_ids(sample)
        for view in own:
            if len(view.masked) != len(ids):
                raise ValueError(f"a view of sample {number} has {len(view.masked)} positions, the sample {len(ids)} "
                                 "(prompt + response + tail); build the views from this very sample")
            where = view.target.nonzero()[:, 0]
            labels = ids if view.labels is None else view.labels
            found = (labels[where], view.weight[where], torch.full_like(where, number),
                     torch.full_like(where, row), where)
            for column, values in zip(columns.values(), found, strict=True):
                column.append(values)
            row += 1
    empty = torch.zeros(0, dtype=torch.long)
    flat = {name: torch.cat(parts) if parts else empty for name, parts in columns.items()}
    return Targets(**flat, counts=[[int(view.target.sum()) for view in own] for own in views])
