"""How long decoding took, whatever else an evaluation does."""

import time
from collections.abc import Iterable, Sequence

from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.records import Engine, Rollout


class TimedEngine:
    """An ``Engine`` that decodes with another one and adds up the time.

    Attributes:
        seconds: spent in ``generate`` so far, tokenization included, rewards not.
    """

    def __init__(self, engine: Engine) -> None:
        """Decode with ``engine``."""
        self._engine = engine
        self.seconds = 0.0

    def generate(self, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
                 seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
        """The other engine's rollouts."""
        start = time.perf_counter()
        groups = self._engine.generate(prompts, config, num_samples, seeds)
        self.seconds += time.perf_counter() - start
        return groups

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Hand new weights on."""
        self._engine.load_weights(named_tensors, version)
