"""The process-wide random generators. Ours draw from hashes; users' own functions may draw from these."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_random(seed: int) -> None:
    """Seed every generator."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_tensors() -> dict[str, Tensor]:
    """The state of torch's CPU generator, and of every CUDA device in use."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"torch": torch.get_rng_state(), **{f"cuda{number}": state for number, state in enumerate(cuda)}}


def random_values() -> dict[str, Any]:
    """The states of Python's and numpy's generators as plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {"python": random.getstate(), "numpy": [kind, list(map(int, keys)), *rest]}


def restore_random(values: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put every generator back; CUDA devices that are not here are left out."""
    version, state, gauss = values["python"]
    random.setstate((version, tuple(state), gauss))
    kind, keys, *rest = values["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(tensors["torch"].clone())
    for number in range(torch.cuda.device_count()):
        if f"cuda{number}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda{number}"].clone(), number)
