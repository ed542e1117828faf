"""Cross-entropy: the losses the native SDAR fine-tuning of the reference had at its logits."""

from pathlib import Path

import pytest
import torch

from dllm_rl.config.options import ReductionOptions
from dllm_rl.objectives import BatchSizes, cross_entropy, target_scale
from dllm_rl.records import TargetBatch
from tests.helpers.reference import entries
from tests.helpers.targets import single


@pytest.mark.parametrize("name", ["single", "packed_pad", "batch2"])
def test_native_losses_of_the_reference(reference_dir: Path, name: str) -> None:
    entry = entries(reference_dir, "sdar", "block_diffusion_training")[name]
    labels = entry["labels"][entry["masked"].bool()]
    logps = entry["logits_at_masked"].log_softmax(-1).gather(-1, labels[:, None])[:, 0]
    sizes = BatchSizes(padded_length=0, answer_tokens=int((entry["labels"] != -100).sum()))
    row = torch.zeros_like(labels)
    scale = target_scale(ReductionOptions(divisor="answer_tokens"), row, 1 / entry["p_mask"], sizes)
    batch = TargetBatch(logps, logps, torch.zeros_like(logps), scale, row, row)
    assert float((batch.scale * cross_entropy(batch)).sum()) == pytest.approx(entry["loss"], abs=1e-5)


def test_an_item_is_the_negative_log_probability() -> None:
    assert cross_entropy(single([1.0, 2.0], [0, 0])).tolist() == [19, 18]
