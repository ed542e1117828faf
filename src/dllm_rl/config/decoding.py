"""Options of decoding, under the names upstream gives them where it has one."""

from typing import Literal

from pydantic import Field

from dllm_rl.config.base import Options
from dllm_rl.config.choice import StrategyName


class DecodingConfig(Options):
    """How a response is decoded."""

    temperature: float = Field(1.0, ge=0, description="Divides the logits; 0 takes the most probable token.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: a token goes when the mass before it exceeds this.")
    top_k: int = Field(0, ge=0, description="Keep the k largest logits; 0 keeps all.")
    max_gen_length: int = Field(256, ge=1, description="Largest number of response tokens.")
    block_size: int | None = Field(None, ge=1, description="Decoding block; the checkpoint's own if not given.")
    denoising_steps_per_block: int | None = Field(
        None, ge=1, description="Steps after which a block is finished; the block size if not given.")
    remasking_strategy: StrategyName = Field(
        "low_confidence_dynamic", description="Unmasking strategy, by name or import path.")
    dynamic_threshold: float = Field(0.9, ge=0, description="low_confidence_dynamic: reveal above this confidence.")
    eb_threshold: float = Field(0.35, gt=0, description="entropy_bounded: entropies revealed together sum below this.")
    stop_token_list: list[str | int] = Field(
        default_factory=list, description="Further stop tokens (text or id) beside eos and the family's turn end.")
    ignore_eos: bool = Field(False, description="Do not stop at eos nor at stop_token_list.")
    seed: int = Field(0, ge=0, description="Run seed, from which every request's seed derives.")
    decoder: Literal["block"] = Field("block", description="Decoding loop.")
    batch_size: int = Field(64, ge=1, description="Sequences decoded together by the readable decoder.")


class RecordedDecoding(DecodingConfig):
    """The settings a rollout was decoded with, and what follows from them for training on it."""

    sampler_class: Literal["random", "sequential", "distribution", "drawn", "greedy"] = Field(
        description="Which random choices influenced the outcome (METHODS 2.6: R, L, M, D, T=0).")
    replay_class: Literal["selection", "history", "edit"] = Field(
        description="What the record must hold for its log-probs to be recomputed.")
