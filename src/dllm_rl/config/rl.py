"""Options of ``dllm-rl rl``."""

from typing import Literal

from pydantic import Field, model_validator

from dllm_rl.config.base import Options
from dllm_rl.config.choice import (
    AdvantageChoice,
    Choice,
    KlChoice,
    PolicyLossChoice,
    RewardChoice,
    TaskChoice,
    ViewChoice,
)
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.config.options import (
    GroupZOptions,
    MathRewardOptions,
    NoOptions,
    ReductionOptions,
    TokenClipOptions,
    TraceViewOptions,
)
from dllm_rl.config.prompt import PromptConfig


class RolloutConfig(Options):
    """How many responses of how many tasks, and how they are decoded."""

    num_task_per_step: int = Field(64, ge=1, description="Tasks per step.")
    num_response_per_task: int = Field(16, ge=1, description="Responses per task, which form a group.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How rollouts are decoded.")


class HeldOutConfig(Options):
    """Evaluation on tasks that are not trained."""

    tasks: TaskChoice = Field(description="The tasks.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How answers are decoded.")
    num_samples: int = Field(1, ge=1, description="Responses per task.")
    every: int = Field(10, ge=1, description="Evaluate every so many steps; also before the first and after the last.")


class FilterConfig(Options):
    """Which groups are trained on, by the share of right answers (upstream: 0.2 to 0.8)."""

    min_pass_rate: float = Field(0.0, ge=0, le=1, description="Smallest share of right answers.")
    max_pass_rate: float = Field(1.0, ge=0, le=1, description="Largest share of right answers.")

    @model_validator(mode="after")
    def _band_is_ordered(self) -> "FilterConfig":
        if self.min_pass_rate > self.max_pass_rate:
            raise ValueError(f"min_pass_rate {self.min_pass_rate} is larger than max_pass_rate {self.max_pass_rate}")
        return self


class RlConfig(ModelCommandConfig):
    """Reinforce a model on tasks. A method is a choice of views, advantage, policy loss and KL term."""

    compat: Literal["upstream"] | None = Field(
        None, description="Preset of options that reproduce the original's computations; no code reads it.")
    tasks: TaskChoice = Field(description="The training tasks.")
    evaluation: HeldOutConfig = Field(description="The held-out tasks.")
    prompt: PromptConfig = Field(PromptConfig(), description="How tasks become prompts.")
    rollout: RolloutConfig = Field(RolloutConfig(), description="Rollouts of a step.")
    reward: RewardChoice = Field(Choice("math", MathRewardOptions()), description="How responses are judged.")
    views: ViewChoice = Field(Choice("trace", TraceViewOptions()), description="Which contexts tokens are scored in.")
    advantage: AdvantageChoice = Field(Choice("group_z", GroupZOptions()), description="How rewards become advantages.")
    policy_loss: PolicyLossChoice = Field(Choice("token_clip", TokenClipOptions()), description="The policy loss.")
    kl: KlChoice = Field(Choice("k3", NoOptions()), description="The KL term, to the weights at the step's start.")
    beta: float = Field(0.01, ge=0, description="Factor of the KL term; 0 leaves it out.")
    reduction: ReductionOptions = Field(ReductionOptions(), description="How target losses become one loss.")
    filter: FilterConfig | None = Field(None, description="Band of pass rates trained on; every group if not given.")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="The optimiser.")
    max_tokens_per_micro_batch: int = Field(4096, ge=1, description="Token budget of one forward and backward pass.")
    updates_per_step: int = Field(1, ge=1, description="Updates on one step's rollouts, each on its share of them.")
    num_train_epochs: int = Field(1, ge=1, description="Passes over one step's rollouts.")
    max_steps: int = Field(100, ge=1, description="Steps of rollouts and updates.")
    seed: int = Field(0, ge=0, description="Seed of task order, rollouts and masks.")
    run_dir: str = Field("runs/rl", description="Folder of the run, relative to the working directory.")
