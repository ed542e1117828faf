"""Options of ``dllm-rl eval``."""

from pydantic import Field

from dllm_rl.config.choice import Choice, RewardChoice, TaskChoice
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.options import MathRewardOptions
from dllm_rl.config.prompt import PromptConfig


class EvalConfig(ModelCommandConfig):
    """Answer tasks and score the answers."""

    tasks: TaskChoice = Field(description="The tasks.")
    prompt: PromptConfig = Field(PromptConfig(), description="How tasks become prompts.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How responses are decoded.")
    num_samples: int = Field(1, ge=1, description="Responses per task.")
    reward: RewardChoice = Field(Choice("math", MathRewardOptions()), description="How responses are judged.")
    seed: int = Field(0, ge=0, description="Which samples are drawn.")
    out: str | None = Field(None, description="Parquet file for the scored answers; not written if not given.")
