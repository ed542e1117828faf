"""Options of decoding, under the names upstream gives them where it has one."""

from typing import Literal

from pydantic import Field, model_validator

from dllm_rl.config.base import Options
from dllm_rl.config.choice import DecoderName, StrategyName
from dllm_rl.registry import DECODERS

Cache = Literal["none", "prefix", "dual"]


def canvas_problem(length: int, size: int, steps: int | None) -> str | None:
    """Why a response of ``length`` tokens in blocks of ``size`` cannot be decoded in ``steps`` in all, if it cannot."""
    num_blocks, rest = divmod(length, size)
    if not num_blocks:
        return f"block_size {size} exceeds max_gen_length {length}; use {length} or less"
    if rest:
        return (f"max_gen_length {length} is no multiple of the block size {size}; use {num_blocks * size} or "
                f"{(num_blocks + 1) * size}, or another block_size")
    if steps is not None and steps < num_blocks:
        return f"steps {steps} are fewer than the {num_blocks} blocks of {size} tokens; use {num_blocks} or more"
    return None


class DecodingConfig(Options):
    """How a response is decoded."""

    temperature: float = Field(1.0, ge=0, description="Divides the logits; 0 takes the most probable token.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: a token goes when the mass before it exceeds this.")
    top_k: int = Field(0, ge=0, description="Keep the k largest logits; 0 keeps all.")
    max_gen_length: int = Field(256, ge=1, description="Largest number of response tokens.")
    decoder: DecoderName | None = Field(
        None, description="Decoding loop, by name or import path; block for block families and canvas for the others if "
        "not given.")
    block_size: int | None = Field(
        None, ge=1, description="Decoding block; the checkpoint's own (block) or 32 (canvas) if not given.")
    denoising_steps_per_block: int | None = Field(
        None, ge=1, description="block: steps after which a block is finished; the block size if not given.")
    steps: int | None = Field(
        None, ge=1, description="canvas: denoising steps of the whole response, shared out over its blocks; "
        "max_gen_length if not given.")
    remasking_strategy: StrategyName = Field(
        "low_confidence_dynamic", description="Unmasking strategy, by name or import path.")
    dynamic_threshold: float = Field(0.9, ge=0, description="low_confidence_dynamic: reveal above this score.")
    eb_threshold: float = Field(0.35, gt=0, description="entropy_bounded: entropies revealed together sum below this.")
    threshold_factor: float = Field(
        1.0, gt=0, description="threshold_factor: the i-th best is revealed from 1 - factor / (i + 1) on.")
    hierarchical_high: float = Field(0.9, ge=0, description="hierarchical: reveal above this score (our default).")
    hierarchical_low: float = Field(
        0.5, ge=0, description="hierarchical: reveal the best of a run of masks above this score (our default).")
    klass_threshold: float = Field(0.9, ge=0, description="klass: reveal above this score.")
    klass_kl_threshold: float = Field(
        0.01, gt=0, description="klass: nats below which a distribution has not moved since the step before.")
    klass_steps: int = Field(2, ge=1, description="klass: steps a distribution must not have moved.")
    leap_anchor: float = Field(0.9, ge=0, description="local_leap: score from which a position is an anchor.")
    leap_accept: float = Field(0.75, ge=0, description="local_leap: score that is enough near an anchor.")
    leap_radius: int = Field(4, ge=0, description="local_leap: positions to each side that are near.")
    adablock_threshold: float = Field(
        0.3, ge=0, description="adablock: score above which a delimiter ends its block.")
    adablock_window: int | None = Field(
        None, ge=1, description="adablock: positions in which a block may end; block_size if not given.")
    score: Literal["confidence", "margin_confidence", "neg_entropy", "entropy", "random"] | None = Field(
        None, description="What positions are ordered by, where the strategy leaves that open; the strategy's own if not "
        "given.")
    score_of: Literal["processed", "temperature", "raw"] | None = Field(
        None, description="Softmax that scores are taken from: after temperature and filters, after temperature alone, or "
        "of the model's logits; the decoder's own if not given.")
    alg_temp: float = Field(
        0.0, ge=0, description="Temperature of the order: 0 reveals the best scores, above it positions are drawn in "
        "proportion to exp(score / alg_temp).")
    pad_target_penalty: float = Field(
        1.0, ge=1, description="Lowers the score of a position whose candidate is the pad token by this factor.")
    cache: Cache | None = Field(
        None, description="canvas: none, the prefix before a block, or all around it (dual); none if not given. block "
        "always keeps finished blocks.")
    further_horizon: int | None = Field(
        None, ge=0, description="cache=prefix: tokens behind a block that are recomputed with it; all if not given.")
    cfg_scale: float = Field(
        0.0, ge=0, description="Guidance: how far logits are moved away from those without the prompt; needs cache=none.")
    sampling_eps: float = Field(1e-3, gt=0, lt=1, description="Where the noise level of Dream's schedule ends.")
    block_delimiters: list[str | int] = Field(
        ["\n"], description="adablock: tokens (text or id) that may end a block.")
    stop_token_list: list[str | int] = Field(
        default_factory=list, description="Further stop tokens (text or id) beside eos and the family's turn end.")
    ignore_eos: bool = Field(False, description="Do not stop at eos nor at stop_token_list.")
    seed: int = Field(0, ge=0, description="Run seed, from which every request's seed derives.")
    record_discards: bool = Field(
        False, description="Keep the candidates that were drawn and not revealed; views trace_all score them.")
    batch_size: int = Field(64, ge=1, description="Sequences decoded together by the readable decoder.")

    @model_validator(mode="after")
    def _fits_together(self) -> "DecodingConfig":
        if self.further_horizon is not None and self.cache != "prefix":
            raise ValueError(f"further_horizon is {self.further_horizon}, which only cache=prefix has a window for; set "
                             "cache=prefix or leave further_horizon out")
        if self.cfg_scale and self.cache not in (None, "none"):
            raise ValueError(f"cfg_scale is {self.cfg_scale:g} and cache {self.cache}; guidance recomputes everything, so "
                             "set cache=none or cfg_scale=0")
        problem = block_problem(self) if self.decoder == "block" else self._canvas_problem()
        if problem:
            raise ValueError(problem)
        return self

    def _canvas_problem(self) -> str | None:
        """What is wrong with the blocks of a canvas, if the settings say by themselves that there is one."""
        is_canvas = self.steps is not None or self.decoder in [*DECODERS]
        return canvas_problem(self.max_gen_length, self.block_size, self.steps) if is_canvas and self.block_size else None


def block_problem(config: DecodingConfig) -> str | None:
    """Which option the block decoder is given that only a canvas has, if it is given one."""
    given = {name: value for name, value in (("steps", config.steps), ("cache", config.cache),
                                             ("cfg_scale", config.cfg_scale or None)) if value is not None}
    if not given:
        return None
    [name, value], *_ = given.items()
    return (f"{name} is {value}, which decoder=block does not have: it takes denoising_steps_per_block steps and always "
            f"keeps finished blocks; leave {name} out")


class RecordedDecoding(DecodingConfig):
    """The settings a rollout was decoded with, and what follows from them for training on it."""

    sampler_class: Literal["random", "sequential", "distribution", "drawn", "greedy"] = Field(
        description="Which random choices influenced the outcome (METHODS 2.6: R, L, M, D, T=0).")
    replay_class: Literal["selection", "history", "edit"] = Field(
        description="What the record must hold for its log-probs to be recomputed.")
    top_p_first: bool = Field(False, description="Whether the nucleus was taken before top_k.")
    opens_alone: bool = Field(
        False, description="Whether a block's first forward revealed its first position whatever was drawn.")
