"""Options of ``dllm-rl sft``."""

from pydantic import Field, model_validator

from dllm_rl.config.choice import Choice, TaskChoice, ViewChoice
from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.config.options import BlockViewOptions, ReductionOptions
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.config.run import RunConfig


class SftConfig(RunConfig):
    """Fine-tune a model on prompts and responses."""

    tasks: TaskChoice | None = Field(None, description="Tasks whose gold answers are the responses.")
    data: str | None = Field(
        None, description="JSON or JSON lines of {prompt, response, step_map?}, relative to the configuration file.")
    prompt: PromptConfig = Field(PromptConfig(), description="How tasks become prompts; data holds rendered ones.")
    append_end: bool = Field(True, description="Append the family's turn-end token (or eos) to each response.")
    views: ViewChoice = Field(Choice("block", BlockViewOptions()), description="How responses are masked.")
    reduction: ReductionOptions = Field(
        ReductionOptions(divisor="answer_tokens"), description="How target losses become one loss.")
    optimizer: OptimizerConfig = Field(
        OptimizerConfig(learning_rate=1e-5), description="The optimiser.")
    batch_size: int = Field(64, ge=1, description="Samples per update.")
    run_dir: str = Field("runs/sft", description="Folder of the run, relative to the working directory.")

    @model_validator(mode="after")
    def _one_source(self) -> "SftConfig":
        if (self.tasks is None) == (self.data is None):
            raise ValueError("give either tasks or data, not both and not neither")
        return self

    @model_validator(mode="after")
    def _divisor_is_known(self) -> "SftConfig":
        if self.reduction.divisor == "max_gen_length":
            raise ValueError("reduction.divisor max_gen_length is a limit of rollouts, and fine-tuning has none; "
                             "use answer_tokens, padded_length, targets or tokens")
        return self
