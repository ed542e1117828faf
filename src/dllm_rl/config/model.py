"""Options of the model."""

from typing import Literal

from pydantic import Field

from dllm_rl.config.base import Options


class ModelConfig(Options):
    """Which checkpoint, and how it is read."""

    path: str = Field(description="Checkpoint folder (relative to the working directory) or hub id.")
    device: str = Field("cpu", description="Where the weights live, for example cpu or cuda.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="What the weights are stored in.")
    mask_token_id: int | None = Field(None, ge=0, description="Overrides the checkpoint's mask token.")
    pad_token_id: int | None = Field(None, ge=0, description="Overrides the checkpoint's pad token.")
    eos_token_id: int | None = Field(None, ge=0, description="Overrides the checkpoint's end-of-text token.")
    block_size: int | None = Field(None, ge=1, description="Overrides the checkpoint's block size.")
