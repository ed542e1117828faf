"""KLASS: positions that are sure of their token, and have been for some steps.

Letters: B rows, b block size, V vocabulary.
"""

from typing import ClassVar

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, best, due, passes


class Klass(Strategy):
    """Positions that pass ``klass_threshold`` and whose distribution has come to rest; if there are none, what is due.

    At rest: KL(p_t || p_{t-1}) was below ``klass_kl_threshold`` at each of the last ``klass_steps`` steps. A block's
    first step has no predecessor. Tokens are still drawn from the step's own softmax, so earlier steps decide only which
    of them stay, and the record needs nothing more than for other strategies.
    """

    paced: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        assert step.logits is not None      # needs_logits
        log_p = step.logits.log_softmax(-1)
        before = step.memory.get("log_p", torch.zeros_like(log_p))
        streak, num_steps = (step.memory.get(name, torch.zeros_like(masked, dtype=torch.long))
                             for name in ("streak", "num_steps"))
        at_rest = (num_steps > 0) & (kl_divergence(log_p, before) < config.klass_kl_threshold)
        streak = torch.where(at_rest, streak + 1, 0)
        step.memory.update(log_p=log_p, streak=streak, num_steps=num_steps + 1)
        stable = masked & passes(scores, config.klass_threshold, step) & (streak >= config.klass_steps)
        count = torch.where(stable.any(-1), 0, step.quota)
        return stable | best(scores, masked, due(step, count))


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) in nats of (..., V) log-probabilities, ``-inf`` allowed: (...); infinite where q lacks a token of p."""
    terms = torch.where(log_p == -torch.inf, 0.0, log_p.exp() * (log_p - log_q))
    return terms.sum(-1)
