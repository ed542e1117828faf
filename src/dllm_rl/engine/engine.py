"""``dllm_rl.Engine``: continuous batching for block models.

The tokens are those of the readable decoder (``decoding/block_decoder.py``): same draws, same strategies, same records.
What the fast loop does not know goes through the readable one: full-attention families, decoders by name, and strategies
that remember earlier steps.
"""

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding.local_decoder import LocalDecoder, load_decoder
from dllm_rl.decoding.request import Request, prepare_requests
from dllm_rl.engine.flight import Flight
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.registry import STRATEGIES


class Engine:
    """Decodes with the very tensors of a model in this process, many sequences at a time.

    Sequences enter as soon as another leaves. A finished block is cached in the forward that denoises its sequence's
    next one, so that no pass is spent on writing alone. Samples of one prompt share its prefill.
    """

    def __init__(self, lm: LanguageModel, config: EngineConfig | None = None, version: int = 0) -> None:
        """Decode with ``lm``; ``version`` is that of its weights."""
        self.lm = lm
        self.config = config or EngineConfig()
        self._local = LocalDecoder(lm, version)
        self.forwarded_tokens = 0
        """Tokens of all passes so far, prefill included."""

    @property
    def version(self) -> int:
        """Version of the weights, noted in later blocks' records."""
        return self._local.version

    @version.setter
    def version(self, version: int) -> None:
        self._local.version = version

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Copy new weights into the model's own tensors; see ``LocalDecoder.load_weights``."""
        self._local.load_weights(named_tensors, version)

    def generate(self, prompts: Sequence[str | list[int]], config: DecodingConfig, num_samples: int = 1,
                 seeds: Sequence[Sequence[int]] | None = None) -> list[list[Rollout]]:
        """Decode ``num_samples`` responses per prompt; arguments, result and errors as ``dllm_rl.generate``."""
        groups = prepare_requests(self.lm, prompts, config, num_samples, seeds)
        found = dict(self.stream([request for group in groups for request in group], config))
        return [[found[number * num_samples + sample] for sample in range(num_samples)] for number in range(len(groups))]

    def stream(self, requests: Sequence[Request], config: DecodingConfig) -> Iterator[tuple[int, Rollout]]:
        """Decode requests; yields each one's number and rollout, on the fast loop as soon as it has ended.

        Args:
            requests: all greedy or none.
            config: how to decode.

        Raises:
            ValueError: settings that do not fit the model.
            FloatingPointError: the model's logits are NaN or infinite.
        """
        if not self.is_fast(config):
            yield from enumerate(load_decoder(self.lm, config, self.version).decode(requests))
        elif requests:
            flight = Flight(self.lm, list(requests), config, self.config, lambda: self.version)
            yield from flight.run()
            self.forwarded_tokens += flight.forwarded_tokens

    def is_fast(self, config: DecodingConfig) -> bool:
        """Whether the fast loop decodes with these settings."""
        strategy = STRATEGIES.load(config.remasking_strategy)
        return (self.lm.family.attention == "block" and config.decoder in (None, "block")
                and not strategy.remembers and not strategy.adapts_blocks)
