"""What the RL loop and evaluation need of whatever produces rollouts."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.records.rollout import Rollout


class Engine(Protocol):
    """Anything that turns prompts into rollouts and can take new weights.

    Example: ``dllm_rl.decoding.LocalDecoder`` is the engine of the readable path.
    """

    def generate(self, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
                 seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
        """Return ``num_samples`` rollouts per prompt, in order; ``seeds`` fixes the request seeds one by one."""
        ...

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Take new weights, which later blocks are decoded with, and note their version in the records."""
        ...
