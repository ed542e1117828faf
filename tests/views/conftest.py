"""Reference entries of block-model training as samples."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dllm_rl.records import Sample
from tests.helpers.reference import entries


@pytest.fixture(scope="session")
def training(reference_dir: Path) -> dict[str, dict[str, Any]]:
    """Entries of ``training`` of the sdar folder; ``sft_trace`` gets the step maps of ``trace`` as its README says."""
    found = entries(reference_dir, "sdar", "training")
    found["sft_trace"]["step_maps_full"] = found["trace"]["step_maps_full"]
    return found


@pytest.fixture(scope="session")
def native(reference_dir: Path) -> dict[str, dict[str, Any]]:
    """Entries of ``block_diffusion_training`` of the sdar folder."""
    return entries(reference_dir, "sdar", "block_diffusion_training")


def padded_samples(entry: dict[str, Any]) -> list[Sample]:
    """An entry's sequences: left pads of the prompt taken off, right pads of the response kept as upstream does."""
    samples = []
    for number, ids in enumerate(entry["input_ids"]):
        prompt = [token for token in ids[:entry["L0"]].tolist() if token != entry["pad_id"]]
        steps = entry["step_maps_full"][number].tolist() if "step_maps_full" in entry else None
        samples.append(Sample(prompt, ids[entry["L0"]:].tolist(), steps))
    return samples


def noisy_rows(entry: dict[str, Any]) -> Tensor:
    """(R, L1) bool, where the entry's noisy copies hold the mask token."""
    return entry["extended_input_ids"][:, entry["L0"] + entry["L1"]:] == entry["mask_id"]


def target_rows(entry: dict[str, Any]) -> Tensor:
    """(R, L1) bool, targets within the response; the prompt holds none."""
    assert not entry["p_mask"][:, :entry["L0"]].any()
    return entry["p_mask"][:, entry["L0"]:].to(torch.bool)
