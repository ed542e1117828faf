"""The configuration of chat needs a model and nothing else."""

import pytest

from dllm_rl.config.chat import ChatConfig
from dllm_rl.config.describe import describe
from dllm_rl.config.loading import ConfigError, load_config


def test_a_model_is_enough() -> None:
    config, _ = load_config(ChatConfig, ["model.path=x"])
    assert (config.system, config.prompt.template, config.decoding.seed) == (None, None, 0)


def test_every_option_has_help() -> None:
    assert all(row.help.endswith(".") for row in describe(ChatConfig))


def test_what_chat_has_no_use_for_is_no_option() -> None:
    with pytest.raises(ConfigError, match=r"prompt\.think"):
        load_config(ChatConfig, ["model.path=x", "prompt.think=true"])
