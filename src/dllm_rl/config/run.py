"""Options that every training run has: its length, its folder, what it keeps and how it goes on."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dllm_rl.config.base import Names, Options
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.optimizer import OptimizerConfig


class ResumeConfig(Options):
    """How a command meets a run that stands in its folder already."""

    mode: Literal["auto", "never"] = Field(
        "auto", description="auto goes on with an unfinished run of this folder, never refuses a folder with a run in "
        "it; resume=never is short for it.")
    allow: Names = Field(
        default_factory=list, description="Keys that may differ from the run that is gone on with, for example "
        "optimizer.learning_rate, or num_threads.")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return {"mode": values} if isinstance(values, str) else values


class RunConfig(ModelCommandConfig):
    """A training run."""

    compat: Literal["upstream"] | None = Field(
        None, description="Preset of options that reproduce the original's computations; no code reads it.")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="The optimiser.")
    max_tokens_per_micro_batch: int = Field(4096, ge=1, description="Token budget of one forward and backward pass.")
    max_steps: int = Field(100, ge=1, description="Steps, after which the run is finished.")
    max_minutes: float | None = Field(
        None, gt=0, description="Stop with a checkpoint after so many minutes of this process; the same command goes on.")
    seed: int = Field(0, ge=0, description="Seed of order, rollouts and masks.")
    run_dir: str = Field(description="Folder of the run, relative to the working directory.")
    checkpoint_every: int = Field(50, ge=1, description="Steps between checkpoints that hold all the run needs to go on.")
    keep_last: int = Field(1, ge=1, description="Such checkpoints that are kept, the newest.")
    export_every: int | None = Field(
        None, ge=1, description="Steps between exports in the published format; only at the end if not given.")
    export_dtype: Literal["float32", "bfloat16"] | None = Field(
        None, description="What exports are stored in; as the model is trained if not given.")
    resume: ResumeConfig = Field(ResumeConfig(), description="Going on with an earlier run.")
    init_from: str | None = Field(
        None, description="RUN@STEP: start as a branch of that run's checkpoint, with its weights, optimiser state and "
        "position.")
    trackers: list[Literal["tensorboard", "wandb", "trackio"]] = Field(
        ["tensorboard"], description="Where figures go beside metrics.jsonl.")

    @field_validator("init_from")
    @classmethod
    def _names_a_step(cls, value: str | None) -> str | None:
        if value is not None:
            run, _, step = value.rpartition("@")
            if not run or not step.isdecimal():
                raise ValueError(f"{value!r} is not RUN@STEP; write the run's folder and a step, as in runs/rl@50")
        return value
