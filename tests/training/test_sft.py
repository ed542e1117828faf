"""What fine-tuning logs."""

from pathlib import Path

import pytest
import torch

from dllm_rl.config.options import ReductionOptions
from dllm_rl.families import load_model
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Sample, View
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.sft import loss_by_mask_ratio


def test_loss_by_mask_ratio_by_hand(reference_dir: Path) -> None:
    lm = load_model(reference_dir / "sdar" / "ckpt")
    samples = [Sample([1, 2, 3, 4], [5, 6, 7, 8, 9]), Sample([1, 2, 3, 4], [5, 6])]

    def view(length: int, *masked: int) -> View:
        where = torch.isin(torch.arange(length), torch.tensor(masked))
        return View.of_targets(where, where)

    views = [[view(9, 4), view(9, 5, 6)], [view(6, 4, 5)]]       # shares 0.2, 0.4 and 1
    batch = UpdateBatch(lm, samples, views, torch.ones(2), BatchSizes(5, 7), ReductionOptions(), 4096)
    scores = batch.evaluate()
    losses = -scores.logps
    assert loss_by_mask_ratio(batch, scores) == {
        "0.0-0.2": pytest.approx(float(losses[0])), "0.2-0.4": pytest.approx(float(losses[1:3].mean())),
        "0.8-1.0": pytest.approx(float(losses[3:].mean()))}
