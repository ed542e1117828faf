"""The configuration of generate needs something to decode."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.describe import describe
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import ConfigError, load_config

MODEL = {"path": "x"}


@pytest.mark.parametrize("source", [{"prompts": ["a"]}, {"prompts_file": "-"}, {"tasks": "arithmetic"}])
def test_any_source_is_enough(source: dict) -> None:
    config = GenerateConfig(model=MODEL, **source)
    assert (config.num_samples, config.out, config.records, config.trace) == (1, None, None, False)


@pytest.mark.parametrize("source", [{}, {"prompts": []}])
def test_one_source_is_needed(source: dict) -> None:
    with pytest.raises(ValidationError, match="nothing to decode; give prompts, prompts_file or tasks"):
        GenerateConfig(model=MODEL, **source)


def test_a_bare_dash_is_a_name() -> None:
    for written in ("prompts_file=-", "prompts_file='-'"):
        assert load_config(GenerateConfig, ["model.path=x", written])[0].prompts_file == "-"
    with pytest.raises(ConfigError, match=r"prompts_file is \['a'\]; allowed: text, or null"):
        load_config(GenerateConfig, ["model.path=x", "prompts_file=[a]"])


def test_its_type_is_text() -> None:
    [row] = [row for row in describe(GenerateConfig) if row.key == "prompts_file"]
    assert row.type == "text, or null"
