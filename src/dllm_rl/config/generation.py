"""Options of ``dllm-rl generate``."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from dllm_rl.config.choice import TaskChoice
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.prompt import PromptConfig


def _dash(value: object) -> object:
    """``-`` where a command line has it bare, which YAML reads as a list of nothing; anything else as it is."""
    return "-" if value == [None] else value


class GenerateConfig(ModelCommandConfig):
    """Decode responses to prompts."""

    prompts: list[str] = Field(default_factory=list, description="Questions, rendered by the prompt format.")
    prompts_file: Annotated[str | None, BeforeValidator(_dash)] = Field(
        None, description="File with one question per line, used after prompts; - reads standard input.")
    tasks: TaskChoice | None = Field(None, description="A task set whose questions are asked after those.")
    prompt: PromptConfig = Field(
        PromptConfig(), description="How questions become prompts; the template {problem} takes them as they are.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How responses are decoded.")
    num_samples: int = Field(1, ge=1, description="Responses per prompt.")
    out: str | None = Field(None, description="JSON lines file for the responses; standard output if not given.")
    records: str | None = Field(None, description="Parquet file for the same responses as rollout records.")
    trace: bool = Field(False, description="Write ids, step maps and log-probabilities into the lines too.")

    @model_validator(mode="after")
    def _has_prompts(self) -> "GenerateConfig":
        if not self.prompts and self.prompts_file is None and self.tasks is None:
            raise ValueError("nothing to decode; give prompts, prompts_file or tasks")
        return self
