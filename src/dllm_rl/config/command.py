"""What the configurations of several commands begin with."""

from typing import Literal

from pydantic import Field

from dllm_rl.config.base import Names, Options
from dllm_rl.config.model import ModelConfig
from dllm_rl.registry import PRESETS


class CommandConfig(Options):
    """The configuration of one command."""

    schema_version: Literal[1] = Field(1, description="Version of this file's keys.")


class ModelCommandConfig(CommandConfig):
    """The configuration of a command that runs a model."""

    preset: Names = Field(
        default_factory=list, description="Sets of options below this file's own, the last on top: "
        f"{', '.join(PRESETS)}, or YAML files, relative to this one.")
    model: ModelConfig = Field(description="The checkpoint.")
