"""Options of ``dllm-rl rl``."""

from typing import Literal

from pydantic import Field, model_validator

from dllm_rl.config.base import Names, Options
from dllm_rl.config.choice import (
    AdvantageChoice,
    Choice,
    KlChoice,
    PolicyLossChoice,
    RewardChoice,
    TaskChoice,
    ViewChoice,
)
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.config.options import (
    ActionViewOptions,
    AdvantageOptions,
    GroupZOptions,
    MaskViewOptions,
    MathRewardOptions,
    NoOptions,
    ReductionOptions,
    TokenClipOptions,
    TraceViewOptions,
)
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.config.run import RunConfig


class RolloutConfig(Options):
    """How many responses of how many tasks, and how they are decoded."""

    num_task_per_step: int = Field(64, ge=1, description="Tasks per step.")
    num_response_per_task: int = Field(16, ge=1, description="Responses per task, which form a group.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How rollouts are decoded.")
    replay_classes: Names = Field(
        ["selection"], description="Kinds of records that are trained on (selection, history, edit). Of the others the "
        "log-probs cannot be recomputed: a cache that is not exact (history) samples from another distribution than is "
        "trained.")
    truncated: Literal["wrong", "keep", "drop"] = Field(
        "wrong", description="What an answer that reached the length limit counts as: wrong, what the reward says, or "
        "nothing, as if it had not been drawn.")
    truncated_margin: int = Field(
        0, ge=0, description="An answer within so many tokens of max_gen_length counts as truncated; 0 = only one that "
        "was cut (upstream: 5).")


class HeldOutConfig(Options):
    """Evaluation on tasks that are not trained."""

    tasks: TaskChoice = Field(description="The tasks.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How answers are decoded.")
    num_samples: int = Field(1, ge=1, description="Responses per task.")
    every: int = Field(10, ge=1, description="Evaluate every so many steps; also before the first and after the last.")
    log_samples: int = Field(4, ge=0, description="Answers of each evaluation written to samples.jsonl.")


class FilterConfig(Options):
    """Which groups are trained on, by the share of right answers (upstream: 0.2 to 0.8)."""

    min_pass_rate: float = Field(0.0, ge=0, le=1, description="Smallest share of right answers.")
    max_pass_rate: float = Field(1.0, ge=0, le=1, description="Largest share of right answers.")

    @model_validator(mode="after")
    def _band_is_ordered(self) -> "FilterConfig":
        if self.min_pass_rate > self.max_pass_rate:
            raise ValueError(f"min_pass_rate {self.min_pass_rate} is larger than max_pass_rate {self.max_pass_rate}")
        return self


class RlConfig(RunConfig):
    """Reinforce a model on tasks. A method is a choice of views, advantage, policy loss and KL term."""

    tasks: TaskChoice = Field(description="The training tasks.")
    evaluation: HeldOutConfig = Field(description="The held-out tasks.")
    prompt: PromptConfig = Field(PromptConfig(), description="How tasks become prompts.")
    rollout: RolloutConfig = Field(RolloutConfig(), description="Rollouts of a step.")
    engine: EngineConfig = Field(EngineConfig(), description="The engine that decodes rollouts and held-out answers.")
    reward: RewardChoice = Field(Choice("math", MathRewardOptions()), description="How responses are judged.")
    views: ViewChoice = Field(Choice("trace", TraceViewOptions()), description="Which contexts tokens are scored in.")
    advantage: AdvantageChoice = Field(Choice("group_z", GroupZOptions()), description="How rewards become advantages.")
    policy_loss: PolicyLossChoice = Field(Choice("token_clip", TokenClipOptions()), description="The policy loss.")
    importance_level: Literal["target", "token", "sequence"] = Field(
        "target", description="What one importance ratio is taken of: a target of a view, a token summed over its views "
        "by their weights, or the mean of a response's targets.")
    kl: KlChoice = Field(Choice("k3", NoOptions()), description="The KL term, to the weights at the step's start.")
    beta: float = Field(0.01, ge=0, description="Factor of the KL term; 0 leaves it out.")
    reduction: ReductionOptions = Field(ReductionOptions(), description="How target losses become one loss.")
    kl_reduction: ReductionOptions | None = Field(
        None, description="How KL terms become one; as the target losses if not given.")
    filter: FilterConfig | None = Field(None, description="Band of pass rates trained on; every group if not given.")
    updates_per_step: int = Field(1, ge=1, description="Updates on one step's rollouts, each on its share of them.")
    num_train_epochs: int = Field(1, ge=1, description="Passes over one step's rollouts.")
    redraw_views: bool = Field(
        False, description="Build the views anew for every pass; old log-probabilities are taken on all of them.")
    reward_time_limit: float = Field(
        600.0, gt=0, description="Seconds after which a call of the user's own reward counts as hanging.")
    run_dir: str = Field("runs/rl", description="Folder of the run, relative to the working directory.")
    probe: int | None = Field(
        None, ge=1, description="Only print a step's figures for the start model, on so many tasks; nothing is trained.")

    @model_validator(mode="after")
    def _actions_have_a_likelihood(self) -> "RlConfig":
        name, options, decoding = self.views.name, self.views.options, self.rollout.decoding
        if not isinstance(options, ActionViewOptions):
            return self
        if decoding.temperature == 0:
            raise ValueError(f"views {name!r} score what was drawn, and with rollout.decoding.temperature=0 nothing is; "
                             "set a temperature above 0")
        if decoding.alg_temp:
            raise ValueError(f"rollout.decoding.alg_temp is {decoding.alg_temp:g}, which draws the order itself, and views "
                             f"{name!r} have no likelihood of that; set alg_temp=0, or views=trace")
        if options.needs_discards and not decoding.record_discards:
            raise ValueError(f"views {name!r} score candidates that were drawn and thrown away; set "
                             "rollout.decoding.record_discards=true to keep them, or views=trace_action, which need none")
        return self

    @model_validator(mode="after")
    def _passes_are_drawn(self) -> "RlConfig":
        options = self.views.options
        if isinstance(options, MaskViewOptions) and options.passes_differ and not self.redraw_views:
            raise ValueError(f"views {self.views.name!r} differ from pass to pass over a step's rollouts; set "
                             "redraw_views=true, and num_train_epochs to the number of passes")
        return self

    @model_validator(mode="after")
    def _groups_are_large_enough(self) -> "RlConfig":
        options, given = self.advantage.options, self.rollout.num_response_per_task
        if isinstance(options, AdvantageOptions) and given < options.min_group_size:
            raise ValueError(f"rollout.num_response_per_task is {given}; advantage {self.advantage.name!r} compares the "
                             f"responses of one task and needs {options.min_group_size} or more")
        return self
