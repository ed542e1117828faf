"""Options of the optimiser."""

from typing import Literal

from pydantic import Field

from dllm_rl.config.base import Options


class OptimizerConfig(Options):
    """AdamW with gradient clipping and a learning-rate schedule."""

    learning_rate: float = Field(1e-6, gt=0, description="Peak learning rate.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the mean.")
    beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's decay of the variance.")
    epsilon: float = Field(1e-8, gt=0, description="AdamW's epsilon.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's weight decay.")
    max_grad_norm: float | None = Field(1.0, gt=0, description="Gradients are clipped to this norm; null = never.")
    warmup_steps: int = Field(0, ge=0, description="Updates over which the learning rate rises linearly.")
    scheduler: Literal["constant", "cosine"] = Field("constant", description="What follows the warm-up.")
