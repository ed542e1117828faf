"""One way to decode: what all sequences with equal options share.

Letters: r rows, b block size, M masked positions of their blocks, V vocabulary.
"""

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding.block_decoder import load_strategy, spread
from dllm_rl.decoding.discarding import compares_discards
from dllm_rl.decoding.draws import Purpose, uniform
from dllm_rl.decoding.request import resolve_canvas
from dllm_rl.decoding.sampling import Candidates, Sampler
from dllm_rl.decoding.schedules import even_split, num_steps
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import sampler_class_of, score_of_strategy
from dllm_rl.families import LanguageModel

OF_THE_REQUEST = {"seed", "max_gen_length", "stop_token_list", "ignore_eos", "batch_size"}
"""Options that say nothing about how a step is made."""


def key_of(config: DecodingConfig, greedy: bool) -> str:
    """Equal for requests whose steps are made in the same way."""
    # A canvas shares its steps out over the blocks of the configured length.
    without = OF_THE_REQUEST if config.steps is None else OF_THE_REQUEST - {"max_gen_length"}
    return f"{greedy} {config.model_dump_json(exclude=without)}"


class Settings:
    """Sampler, strategy and schedule of some sequences; stateless."""

    def __init__(self, lm: LanguageModel, config: DecodingConfig, block_size: int, greedy: bool, number: int) -> None:
        """Prepare.

        Args:
            lm: a model of a block family, or of a full-attention family, which then is decoded on canvases.
            config: how to decode.
            block_size: b.
            greedy: take the most probable candidates.
            number: of these settings in their lane.
        """
        self.number, self.config, self.greedy, self.block_size = number, config, greedy, block_size
        self.num_users = 0
        """Sequences that have these settings."""
        self.is_canvas = lm.family.attention != "block"
        self.cache = (config.cache or "none") if self.is_canvas else None
        self._opens_alone = self.is_canvas and self.cache != "none" and lm.family.logit_shift > 0
        self.strategy = load_strategy(config)
        self.notes_discards = compares_discards(self.strategy, config)
        self._sampler = Sampler(config, lm.allowed_ids, score_of_strategy(self.strategy, config),
                                config.score_of or "processed", pad_token_id=lm.pad_token_id)
        if self.is_canvas:
            self._num_blocks = config.max_gen_length // block_size
            self._steps = resolve_canvas(lm, config, one_block=False)[1]
        else:
            self._num_blocks, self._steps = 1, num_steps(config, block_size)

    def recorded(self, config: DecodingConfig) -> RecordedDecoding:
        """The settings of a request with what follows from them for training."""
        sampler_class = sampler_class_of(self.strategy, config, self.greedy)
        if not self.is_canvas:
            return RecordedDecoding(**{**config.model_dump(), "decoder": "block"}, sampler_class=sampler_class,
                                    replay_class=self.strategy.replay_class)
        own = {"decoder": "canvas", "block_size": self.block_size, "score_of": config.score_of or "processed",
               "cache": self.cache}
        return RecordedDecoding(**{**config.model_dump(), **own}, sampler_class=sampler_class,
                                opens_alone=self._opens_alone,
                                replay_class=self.strategy.replay_class if self.cache == "none" else "history")

    def propose(self, logits: Tensor, seed: Tensor, position: Tensor, forwards: Tensor, places: Tensor) -> Candidates:
        """A candidate for every masked position.

        Args:
            logits: (M, V), of the flat ``places`` of the rows' blocks.
            seed: (r,) int64.
            position: (r, b) int64, of the blocks.
            forwards: (r,) int64, this one included.
            places: (M,) int64.
        """
        uniforms, order = (uniform(seed[:, None], position, forwards[:, None], purpose).flatten()[places]
                           for purpose in (Purpose.CANDIDATE, Purpose.ORDER))
        return self._sampler.propose(logits, None if self.greedy else uniforms, order)

    def choose(self, candidates: Candidates, places: Tensor, masked: Tensor, total: Tensor, number: Tensor, block: Tensor,
               memory: dict[str, Tensor]) -> Tensor:
        """(r, b) bool: the masked positions that take their candidates.

        Args:
            candidates: of the flat ``places`` (M,).
            places: see there.
            masked: (r, b) bool.
            total: (r,) int64; masks at the blocks' openings.
            number: (r,) int64; steps made in the blocks before this one.
            block: (r,) int64; 0-based number of the blocks in their responses.
            memory: (r, ...) tensors the strategy keeps, read and written.
        """
        step = self._step(total, number, self._steps_of(block))
        step.memory = dict(memory)
        if self.strategy.needs_logits:
            step.logits = spread(candidates.logits, places, masked.shape)
        chosen = self.strategy.reveal(spread(candidates.scores, places, masked.shape), masked, step, self.config) & masked
        # Where a block opens with its first position alone, the strategy has not been asked yet.
        alone = self.is_alone(number)
        for name, new in step.memory.items():
            old = memory.get(name, torch.zeros_like(new))
            memory[name] = torch.where(alone.view(-1, *[1] * (new.dim() - 1)), old, new)
        first = torch.arange(masked.shape[1], device=masked.device) == 0
        return torch.where(alone[:, None], masked & first, chosen)

    def is_alone(self, number: Tensor) -> Tensor:
        """(r,) bool: whether a block's first position is revealed alone, whatever was drawn, at step ``number``."""
        return (number == 0) & self._opens_alone

    def is_stuck(self, number: Tensor, block: Tensor) -> Tensor:
        """(r,) bool: whether a block that still has masks has had all its steps."""
        steps = self._steps_of(block)
        return number > steps.clamp(min=self.block_size) if self.is_canvas else number >= steps

    def _steps_of(self, block: Tensor) -> Tensor:
        """(r,) int64: steps of blocks, earlier blocks taking the remainder."""
        return self._steps // self._num_blocks + (block < self._steps % self._num_blocks).long()

    def _step(self, total: Tensor, number: Tensor, steps: Tensor) -> Step:
        if not self.is_canvas:
            return Step(even_split(self.block_size, self._steps, number), number >= steps - 1)
        if not self.strategy.paced:
            return Step(torch.ones_like(number), torch.zeros_like(number, dtype=torch.bool), inclusive=True)
        return Step(even_split(total, steps, number), number >= steps - 1, inclusive=True)
