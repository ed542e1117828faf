"""The SFT configuration has exactly one source of samples."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.sft import SftConfig

MODEL = {"path": "x"}


def test_the_defaults_are_native_block_fine_tuning() -> None:
    config = SftConfig(model=MODEL, data="a.json")
    assert (config.views.name, config.reduction.divisor, config.optimizer.learning_rate) == (
        "block", "answer_tokens", 1e-5)


@pytest.mark.parametrize("sources", [{}, {"data": "a.json", "tasks": "arithmetic"}])
def test_one_source_is_needed(sources: dict) -> None:
    with pytest.raises(ValidationError, match="give either tasks or data, not both and not neither"):
        SftConfig(model=MODEL, **sources)
