"""The optimiser: AdamW with a learning-rate schedule and gradient clipping."""

import math

import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.families import LanguageModel


class Optimizer:
    """AdamW with a learning-rate schedule, gradient clipping, and a refusal to step on a gradient that is not finite."""

    def __init__(self, lm: LanguageModel, config: OptimizerConfig, num_updates: int) -> None:
        """Optimise all weights of ``lm``; ``num_updates`` is the length of the schedule."""
        self._parameters = [p for p in lm.backbone.parameters() if p.requires_grad]
        self._config = config
        self._adamw = AdamW(self._parameters, lr=config.learning_rate, betas=(config.beta1, config.beta2),
                            eps=config.epsilon, weight_decay=config.weight_decay)
        self._schedule = LambdaLR(self._adamw, lambda done: self._factor(done, num_updates))

    def _factor(self, done: int, num_updates: int) -> float:
        warmup = self._config.warmup_steps
        if done < warmup:
            return (done + 1) / warmup
        if self._config.scheduler == "constant":
            return 1.0
        progress = (done - warmup) / max(1, num_updates - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def step(self) -> float:
        """Clip, step, clear the gradients; returns the gradient's norm before clipping.

        Raises:
            FloatingPointError: the gradient is not finite; weights and optimiser state are as before.
        """
        limit = self._config.max_grad_norm or float("inf")
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, limit))
        if not math.isfinite(norm):
            self._adamw.zero_grad()
            raise FloatingPointError(f"the gradient norm is {norm}; the update was not made. Lower learning_rate or "
                                     "look for empty or damaged samples")
        self._adamw.step()
        self._adamw.zero_grad()
        self._schedule.step()
        return norm
