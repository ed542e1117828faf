"""Options of ``dllm-rl demo``."""

from pydantic import Field

from dllm_rl.config.command import CommandConfig


class DemoConfig(CommandConfig):
    """Train a tiny model from scratch."""

    run_dir: str = Field("runs/demo", description="Folder of the demonstration, relative to the working directory.")
    seed: int = Field(0, ge=0, description="Seed of weights, tasks and draws.")
