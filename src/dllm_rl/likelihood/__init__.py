"""Rollouts and views to log-probabilities at targets, through packed layouts with one shared clean copy."""

from dllm_rl.likelihood.head import log_probs_and_entropy
from dllm_rl.likelihood.packs import Pack, build_packs
from dllm_rl.likelihood.scoring import pack_log_probs, target_logprobs
from dllm_rl.likelihood.targets import Targets, enumerate_targets

__all__ = ["Pack", "Targets", "build_packs", "enumerate_targets", "log_probs_and_entropy", "pack_log_probs",
           "target_logprobs"]
