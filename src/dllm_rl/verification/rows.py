"""Upstream's padded training rows, rebuilt from samples and views to be compared with stored ones.

Letters: n responses, R rows, L0 padded prompt, L1 padded response, L = L0 + L1, N = L0 + 2 L1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.records import Layout, Sample, View
from dllm_rl.records.layout import NO_PARENT


@dataclass(frozen=True)
class Rows:
    """Every view of every sample as a row ``[prompt | clean response | noisy response]`` with left-padded prompts.

    Attributes:
        extended_ids: (R, N) int64.
        targets: (R, L) bool.
        labels: (R, L) int64.
        layout: (R, N); its positions are upstream's position ids, left pads are documents of their own.
        samples: (R,) number of each row's sample.
    """

    extended_ids: Tensor
    targets: Tensor
    labels: Tensor
    layout: Layout
    samples: Tensor

    def real(self) -> Tensor:
        """(R, N) bool: not a left pad."""
        return self.layout.doc == 0


def padded_samples(input_ids: Tensor, num_prompt: int, pad_id: int,
                   step_maps: Tensor | None = None) -> list[Sample]:
    """Samples of (n, L) ids: left pads taken off the prompts, right pads kept as response tokens."""
    samples = []
    for number, row in enumerate(input_ids):
        start = int((row[:num_prompt] != pad_id).long().argmax())
        steps = None if step_maps is None else step_maps[number].tolist()
        samples.append(Sample(row[start:num_prompt].tolist(), row[num_prompt:].tolist(), steps))
    return samples


def padded_rows(samples: Sequence[Sample], views: Sequence[Sequence[View]], num_prompt: int, mask_id: int,
                pad_id: int) -> Rows:
    """Rows in the order of samples and their views, prompts left-padded to ``num_prompt``."""
    parts: dict[str, list[Tensor]] = {"ids": [], "targets": [], "labels": [], "samples": []}
    layouts = []
    for number, (sample, own) in enumerate(zip(samples, views, strict=True)):
        pads = num_prompt - len(sample.prompt_ids)
        clean = torch.tensor([pad_id] * pads + sample.prompt_ids + sample.response_ids)
        for view in own:
            masked = torch.cat([torch.zeros(pads, dtype=torch.bool), view.masked])
            noisy = torch.where(masked, mask_id, clean)[num_prompt:]
            parts["ids"].append(torch.cat([clean, noisy]))
            parts["targets"].append(torch.cat([torch.zeros(pads, dtype=torch.bool), view.target]))
            parts["labels"].append(clean)
            parts["samples"].append(torch.tensor(number))
            layouts.append(_row_layout(view, pads, len(sample.prompt_ids), len(sample.response_ids)))
    stacked = {name: torch.stack(tensors) for name, tensors in parts.items()}
    layout = Layout(*(torch.stack(column) for column in zip(*(row.tensors() for row in layouts), strict=True)))
    return Rows(stacked["ids"], stacked["targets"], stacked["labels"], layout, stacked["samples"])


def _row_layout(view: View, pads: int, num_prompt: int, num_response: int) -> Layout:
    """The layout of one row, its response twice; ``view.block`` is set on upstream's grid."""
    if view.block is None:
        raise ValueError("upstream's rows lie on the response grid; build the views with grid=response")
    total = num_prompt + num_response
    position, block = torch.arange(total), view.block
    twice = torch.cat([torch.arange(total), torch.arange(num_prompt, total)])
    noisy = torch.cat([torch.zeros(total), torch.ones(num_response)]).long()
    zero = torch.zeros(pads, dtype=torch.long)
    return Layout(
        position=torch.cat([zero + 1, position[twice]]),
        doc=torch.cat([1 + torch.arange(pads), torch.zeros_like(twice)]),
        parent=torch.full((pads + len(twice),), NO_PARENT),
        view=torch.cat([zero, noisy]),
        block=torch.cat([zero, block[twice]]),
    )
