"""Decoding in this process: the public call, and the engine of the readable path."""

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.request import Request, prepare_requests
from dllm_rl.decoding.watching import Watcher
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.registry import DECODERS, nearest


@runtime_checkable
class Decoder(Protocol):
    """A decoding loop: an entry of ``DECODERS``, or the user's own, called as ``(lm, config, version)``."""

    def decode(self, requests: Sequence[Request], watch: Watcher | None = None) -> list[Rollout]:
        """One rollout per request, in order; ``watch`` is shown the tokens after each forward."""
        ...


def load_decoder(lm: LanguageModel, config: DecodingConfig, version: int = 0) -> Decoder:
    """The decoder that the settings name, or the family's own: ``block`` or ``canvas``.

    Raises:
        ValueError: an unknown name, an object that is no decoder, or settings that do not fit the model.
    """
    name = config.decoder or ("block" if lm.family.attention == "block" else "canvas")
    make, arguments = DECODERS.load(name), (lm, config.model_copy(update={"decoder": name}), version)
    try:
        signature(make).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r} is no decoder: it cannot be called as (lm, config, version), {error}") from error
    decoder = make(*arguments)
    if not isinstance(decoder, Decoder):
        raise ValueError(f"{name!r} is no decoder: what it makes has no decode(requests, watch)")
    return decoder


class LocalDecoder:
    """The ``Engine`` of the readable path, which decodes with the very tensors of a model in this process."""

    def __init__(self, lm: LanguageModel, version: int = 0) -> None:
        """Decode with ``lm``; ``version`` is that of its weights."""
        self.lm = lm
        self.version = version

    def generate(self, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
                 seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
        """Decode ``num_samples`` responses per prompt; see ``dllm_rl.decoding.generate``."""
        groups = prepare_requests(self.lm, prompts, config, num_samples, seeds)
        rollouts = iter(load_decoder(self.lm, config, self.version).decode(
            [request for group in groups for request in group]))
        return [[next(rollouts) for _ in group] for group in groups]

    @torch.no_grad()
    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Copy new weights into the model's own tensors, in place.

        Args:
            named_tensors: names of the backbone's parameters and tensors of equal shape, of any dtype and device.
            version: of the new weights, noted in later rollouts.

        Raises:
            ValueError: a name the backbone does not have, or another shape; weights before it are already replaced.
        """
        own = self.lm.backbone.state_dict()
        for name, tensor in named_tensors:
            if name not in own:
                raise ValueError(f"the model has no weight {name!r}{nearest(name, list(own))}")
            if own[name].shape != tensor.shape:
                raise ValueError(f"weight {name!r} has shape {tuple(tensor.shape)}, the model's is "
                                 f"{tuple(own[name].shape)}; were the weights made for another model?")
            own[name].copy_(tensor)
        self.version = version


def generate(lm: LanguageModel, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
             seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
    """Decode responses on the readable path.

    Args:
        lm: the model.
        prompts: rendered texts, or lists of token ids, taken as they are.
        config: how to decode.
        num_samples: responses per prompt.
        seeds: per prompt ``num_samples`` seeds; if not given, functions of ``config.seed``, the prompt's ids and the
            sample's number, so that a prompt gets the same responses in any company and order.

    Returns:
        per prompt, in order, ``num_samples`` rollouts.

    Raises:
        ValueError: bad prompts, settings or seeds; names the value, what is allowed, and the remedy.
        FloatingPointError: the model's logits are NaN or infinite.
    """
    return LocalDecoder(lm).generate(prompts, config, num_samples, seeds)
