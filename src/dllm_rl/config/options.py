"""Options of registry entries: one pydantic model per entry, in one file that needs no torch."""

from typing import ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from dllm_rl.config.base import Options


class NoOptions(Options):
    """For entries without options."""


class MaskViewOptions(Options):
    """Options of every view that masks part of a response."""

    post_num: int | None = Field(
        None, ge=0, description="Pads per view that stay targets, the first ones; all of them if not given.")
    grid: Literal["absolute", "response"] = Field(
        "absolute", description="Where blocks start: at the sequence (as in rollouts) or at the response (upstream).")

    passes_differ: ClassVar[bool] = False
    """Whether the views mean something only as a series over the passes of a step."""

    def unsuited(self, attention: str) -> str | None:
        """Why the views make no sense for ``block`` or ``full`` attention, and what would instead; ``None`` if they do."""
        return None


class TraceViewOptions(MaskViewOptions):
    """Options of the ``trace`` views (TraceRL, trace SFT)."""

    shrink: int = Field(1, ge=1, description="Consecutive trace steps merged into one view, within a block.")
    score_tail: bool = Field(
        False, description="Score tokens of the hidden tail revealed no later than the last visible one: they influenced "
        "it.")


class ActionViewOptions(Options):
    """What the options of views of whole actions have in common (METHODS 2.6)."""

    needs_discards: ClassVar[bool] = False
    """Whether the record must hold the discarded candidates."""


class TraceActionViewOptions(ActionViewOptions):
    """Options of the ``trace_action`` views."""


class TraceAllViewOptions(ActionViewOptions):
    """Options of the ``trace_all`` views."""

    needs_discards: ClassVar[bool] = True


AnyMaskOptions = TypeVar("AnyMaskOptions", bound=MaskViewOptions)
"""Options of any views."""


def check_band(options: AnyMaskOptions, lower: float, upper: float) -> AnyMaskOptions:
    """The options, whose band of mask probabilities must be ordered; ``ValueError`` otherwise."""
    if lower > upper:
        raise ValueError(f"lower_p {lower} is larger than upper_p {upper}")
    return options


class RandomViewOptions(MaskViewOptions):
    """Options of the ``random`` and ``coupled`` views."""

    lower_p: float = Field(0.1, ge=0, le=1, description="Smallest mask probability.")
    upper_p: float = Field(0.9, ge=0, le=1, description="Largest mask probability.")
    mask_times_per_sample: int = Field(1, ge=1, description="Draws per response.")
    level: Literal["block", "token"] = Field(
        "block", description="What one mask probability is drawn for: a block, or each token (upstream).")

    @model_validator(mode="after")
    def _band_is_ordered(self) -> "RandomViewOptions":
        return check_band(self, self.lower_p, self.upper_p)


class SemiArViewOptions(RandomViewOptions):
    """Options of the ``semi_ar`` views: one noisy copy of every block behind clean history."""

    level: Literal["block", "token"] = Field(
        "token", description="What one mask probability is drawn for: a block, or each token (upstream).")

    def unsuited(self, attention: str) -> str | None:
        """Full attention has no blocks behind clean history."""
        return None if attention == "block" else "it has no blocks; use random, coupled or trace"


class MeanFieldViewOptions(MaskViewOptions):
    """Options of the ``mean_field`` views (diffu-GRPO)."""

    p_mask_prompt: float = Field(0.0, ge=0, le=1, description="Probability with which a prompt token is masked.")

    def unsuited(self, attention: str) -> str | None:
        """Noisy blocks of a block family attend to the clean copy of the prompt."""
        if attention == "full" or not self.p_mask_prompt:
            return None
        return f"the prompt is read from its clean copy, so p_mask_prompt {self.p_mask_prompt:g} has no effect; set it to 0"


class ThreePassViewOptions(MaskViewOptions):
    """Options of the ``three_pass`` views (coupled-GRPO)."""

    lower_p: float = Field(0.2, gt=0, lt=1, description="Smallest mask probability, one for the whole batch.")
    upper_p: float = Field(0.8, gt=0, lt=1, description="Largest mask probability.")

    @model_validator(mode="after")
    def _band_is_ordered(self) -> "ThreePassViewOptions":
        return check_band(self, self.lower_p, self.upper_p)


class ScheduledViewOptions(MaskViewOptions):
    """Options of the ``scheduled`` views (UniGRPO)."""

    passes_differ: ClassVar[bool] = True

    num_timesteps: int = Field(1000, ge=1, description="Noise levels from none to a full mask.")
    first_timestep: int | None = Field(
        None, ge=1, description="Noise level of the first pass; drawn for each response if not given.")

    @model_validator(mode="after")
    def _start_is_a_level(self) -> "ScheduledViewOptions":
        if self.first_timestep is not None and self.first_timestep > self.num_timesteps:
            raise ValueError(f"first_timestep {self.first_timestep} is larger than num_timesteps {self.num_timesteps}")
        return self


class BlockViewOptions(MaskViewOptions):
    """Options of the ``block`` views (native SDAR fine-tuning)."""

    min_p: float = Field(1e-3, gt=0, le=1, description="Smallest mask probability; p = (1 - min_p) t + min_p.")
    level: Literal["document", "block"] = Field(
        "document", description="What one ratio t is drawn for: the document (native) or each block.")


class AdvantageOptions(Options):
    """What the options of every advantage declare beside themselves."""

    min_group_size: ClassVar[int] = 1
    """Responses of one task without which the advantage says nothing."""


class GroupZOptions(AdvantageOptions):
    """Options of the ``group_z`` advantage."""

    min_group_size: ClassVar[int] = 2

    divide_by_std: bool = Field(True, description="Divide by the population standard deviation.")


class LeaveOneOutOptions(AdvantageOptions):
    """Options of the ``leave_one_out`` advantage: none."""

    min_group_size: ClassVar[int] = 2


class TokenClipOptions(Options):
    """Options of the ``token_clip`` policy loss."""

    eps: float = Field(0.2, gt=0, description="Lower clip distance of the ratio (and upper, if eps_high is not given).")
    eps_high: float | None = Field(None, gt=0, description="Upper clip distance of the ratio.")
    max_log_ratio: float = Field(10.0, gt=0, description="Log-ratios are clamped to this before the exponential.")


class ReductionOptions(Options):
    """How the items of all targets become one loss (SPEC 13, divisor)."""

    divisor: Literal["padded_length", "max_gen_length", "targets", "views", "tokens", "answer_tokens"] = Field(
        "padded_length", description="What a sum over targets is divided by: the step's longest response or "
        "max_gen_length (then the mean over views), each view's own targets (then the mean over views), the number of "
        "views alone, all targets of the batch, or all response tokens of the batch, masked or not (native SDAR "
        "fine-tuning).")


class AnswerOptions(Options):
    """Where the answer stands in a response: options of every reward that compares answers."""

    answer: Literal["boxed", "text"] = Field(
        "boxed", description="Where the answer stands: the last balanced \\boxed{}, or the whole response text.")
    end_tokens: tuple[str, ...] = Field(
        ("<|endoftext|>", "<|im_end|>", "<|eot_id|>"), strict=False,
        description="answer=text: the answer ends before the first of these token texts.")


class MathRewardOptions(AnswerOptions):
    """Options of the ``math`` reward."""

    route: Literal["verify", "string"] = Field(
        "verify", description="Equality of answers: math-verify, or upstream's normalised string.")


class FileTaskOptions(Options):
    """Options of task sets read from a file."""

    path: str = Field(description="JSON, JSON lines or gzip file; relative to the configuration file.")
    limit: int | None = Field(None, ge=1, description="Only the first tasks of the file.")


class ArithmeticTaskOptions(Options):
    """Options of the built-in sums."""

    num_tasks: int = Field(1000, ge=1, description="How many tasks.")
    max_operand: int = Field(99, ge=1, description="Operands are drawn from 0 to this.")
    num_operands: int = Field(2, ge=2, description="Operands per sum.")
    zero_pad: bool = Field(False, description="Write leading zeros, so that all sums and answers are equally long.")
    split: Literal["train", "test"] = Field("train", description="Disjoint halves of the problem space.")
    seed: int = Field(0, ge=0, description="Which tasks are drawn.")


class SudokuTaskOptions(Options):
    """Options of the built-in 4x4 sudokus."""

    num_tasks: int = Field(1000, ge=1, description="How many tasks.")
    num_empty: int = Field(6, ge=1, le=12, description="Cells to fill in; with more than 12 no sudoku has one solution.")
    split: Literal["train", "test"] = Field("train", description="Disjoint halves of the solved grids.")
    seed: int = Field(0, ge=0, description="Which tasks are drawn.")


class ReasoningGymTaskOptions(Options):
    """Options of the task sets of the package ``reasoning-gym``."""

    dataset: str = Field(description="Name of a data set of reasoning-gym, for example chain_sum.")
    size: int = Field(1000, ge=1, description="How many tasks.")
    seed: int = Field(
        0, ge=0, description="Which tasks are generated: other seeds give other tasks, so train and test on different "
        "ones (small problem spaces may still repeat a task).")
    config: dict[str, object] = Field(
        default_factory=dict, description="Settings of the data set itself, under its own names.")
