"""The optimiser: AdamW on float32 master weights, with a learning-rate schedule and gradient clipping."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.families import LanguageModel


class Optimizer:
    """AdamW with a schedule, gradient clipping, and a refusal to step on a gradient that is not finite.

    Weights stored in float32 are their own masters. Weights stored in anything else have a float32 copy that is
    stepped and rounded back into them, so that steps smaller than their resolution add up; their gradients are
    accumulated in float32, so that the sum over micro-batches does not depend on their number. The copy lives as long
    as the optimiser.
    """

    def __init__(self, lm: LanguageModel, config: OptimizerConfig, num_updates: int) -> None:
        """Optimise all trainable weights of ``lm``; ``num_updates`` is the length of the schedule."""
        named = {name: own for name, own in lm.backbone.named_parameters() if own.requires_grad}
        self._config, self._total = config, num_updates
        self._weights = named
        self._masters = {name: own if own.dtype == torch.float32 else _master_of(own) for name, own in named.items()}
        self._adamw = AdamW(list(self._masters.values()), lr=config.learning_rate, betas=(config.beta1, config.beta2),
                            eps=config.epsilon, weight_decay=config.weight_decay)
        self.num_updates = 0
        """Updates made so far."""

    @property
    def learning_rate(self) -> float:
        """The rate of the next update."""
        config, done = self._config, self.num_updates
        if done < config.warmup_steps:
            return config.learning_rate * (done + 1) / config.warmup_steps
        if config.scheduler == "constant":
            return config.learning_rate
        progress = (done - config.warmup_steps) / max(1, self._total - config.warmup_steps)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def step(self) -> float:
        """Clip, step, clear the gradients; returns the gradient's norm before clipping.

        Raises:
            FloatingPointError: the gradient is not finite; weights and optimiser state are as before.
        """
        limit = self._config.max_grad_norm or float("inf")
        norm = float(nn.utils.clip_grad_norm_(self._masters.values(), limit))
        if not math.isfinite(norm):
            self._adamw.zero_grad()
            raise FloatingPointError(f"the gradient norm is {norm}; the update was not made. Lower learning_rate or "
                                     "look for empty or damaged samples")
        for group in self._adamw.param_groups:
            group["lr"] = self.learning_rate
        self._adamw.step()
        self._adamw.zero_grad()
        self.num_updates += 1
        self._round_masters()
        return norm

    @torch.no_grad()
    def _round_masters(self) -> None:
        for name, weight in self._weights.items():
            if weight is not self._masters[name]:
                weight.copy_(self._masters[name])

    def masters(self) -> dict[str, Tensor]:
        """The float32 weights by name; the tensors themselves."""
        return {name: master.detach() for name, master in self._masters.items()}

    def moments(self) -> dict[str, Tensor]:
        """AdamW's tensors as ``name of weight:name of tensor``; weights that never had a gradient have none."""
        state = self._adamw.state
        return {f"{name}:{kind}": tensor for name, master in self._masters.items()
                for kind, tensor in state.get(master, {}).items()}

    @torch.no_grad()
    def load(self, masters: Mapping[str, Tensor], moments: Mapping[str, Tensor], num_updates: int) -> None:
        """Take over what ``masters`` and ``moments`` gave, and the number of updates; weights are rounded anew.

        Raises:
            ValueError: names or shapes are not those of this model.
        """
        given = {name: tuple(tensor.shape) for name, tensor in masters.items()}
        own = {name: tuple(tensor.shape) for name, tensor in self._masters.items()}
        if given != own:
            name = sorted(dict(given.items() ^ own.items()))[0]
            raise ValueError(f"the stored weights are of another model: {name} is {given.get(name, 'absent')} there and "
                             f"{own.get(name, 'absent')} here; give the model.path the run began with")
        for name, master in self._masters.items():
            master.copy_(masters[name])
        state: dict[int, dict[str, Tensor]] = {}
        numbers = {name: number for number, name in enumerate(self._masters)}
        for key, tensor in moments.items():
            name, _, kind = key.rpartition(":")
            state.setdefault(numbers[name], {})[kind] = tensor.clone()
        self._adamw.load_state_dict({"state": state, "param_groups": self._adamw.state_dict()["param_groups"]})
        self.num_updates = num_updates
        self._round_masters()


def _master_of(weight: nn.Parameter) -> nn.Parameter:
    """A float32 copy that takes over every gradient the weight gets."""
    master = nn.Parameter(weight.detach().to(torch.float32))

    def take_over(own: Tensor) -> None:
        assert own.grad is not None      # the hook runs when a gradient has been accumulated
        gradient = own.grad.to(torch.float32)
        master.grad = gradient if master.grad is None else master.grad.add_(gradient)
        own.grad = None

    weight.register_post_accumulate_grad_hook(take_over)
    return master
