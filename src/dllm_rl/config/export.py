"""Options of ``dllm-rl export``."""

import re
from typing import Literal

from pydantic import Field, field_validator

from dllm_rl.config.command import CommandConfig
from dllm_rl.config.model import ModelConfig

_SIZE = re.compile(r"[1-9]\d*(KB|MB|GB)")


class ExportConfig(CommandConfig):
    """Write a checkpoint in the published format."""

    model: ModelConfig = Field(description="The checkpoint.")
    out: str = Field(description="Folder to write, which a checkpoint there gives way to.")
    dtype: Literal["float32", "bfloat16"] = Field("bfloat16", description="What the written weights are stored in.")
    max_shard_size: str = Field("5GB", description="Largest weight file, a whole number of KB, MB or GB.")

    @field_validator("max_shard_size")
    @classmethod
    def _is_a_size(cls, given: str) -> str:
        if not _SIZE.fullmatch(given):
            raise ValueError(f"{given!r} is no size; write a whole number and KB, MB or GB, such as 5GB")
        return given
