"""A tiny model with a byte-level tokenizer for the tests of evaluation."""

from pathlib import Path

import pytest

from dllm_rl.families import LanguageModel, load_model
from dllm_rl.training.demo import create_tiny_model


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, 1024 positions and blocks of four."""
    path = tmp_path_factory.mktemp("model") / "start"
    create_tiny_model(path, seed=1)
    return path


@pytest.fixture(scope="session")
def lm(checkpoint: Path) -> LanguageModel:
    """The model in it."""
    return load_model(str(checkpoint))
