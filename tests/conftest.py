"""Settings and fixtures that every test shares."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: two xdist workers on two cores must not fight over threads, and no test may reach a hub.
os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", HF_HUB_OFFLINE="1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

# Random cases are the same in every run, and a busy machine fails none of them by being slow.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

TESTS = Path(__file__).parent


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """The recorded vectors of the published code."""
    return TESTS / "reference"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Small slices of real task data."""
    return TESTS / "data"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The larger data folder that ``DLLM_RL_SHARED`` names; mark tests that use it ``shared``."""
    place = os.environ.get("DLLM_RL_SHARED")
    if not place:
        pytest.skip("DLLM_RL_SHARED is not set: this test reads more data than the repository carries")
    if not Path(place).is_dir():
        pytest.fail(f"DLLM_RL_SHARED names {place!r}, which is not a folder; correct or unset it")
    return Path(place)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip ``cuda`` tests on a machine without a GPU; torch is only asked if there are any."""
    needing = [item for item in items if item.get_closest_marker("cuda")]
    if not needing:
        return
    import torch

    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU that this torch can use"))
