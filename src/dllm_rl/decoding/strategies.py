"""Unmasking strategies: which masked positions of a block take their candidate at a step (SPEC 1.3, 1.4, 1.6).

Letters: B rows, b block size. How many positions are due at a step is the decoder's schedule (``schedules.py``), which
is told in ``Step.quota``.

Every strategy reveals masked positions only, everything at a block's last step, and at least one in a row that has any
wherever the schedule has one due. Ties go to the left. None reads a tensor's value on the host.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.step import Step

SamplerClass = Literal["random", "sequential", "distribution", "drawn", "greedy"]
ReplayClass = Literal["selection", "history", "edit"]


class Strategy(ABC):
    """A rule that picks positions to reveal; derive from it and write ``reveal``.

    Attributes:
        score: what positions are ordered by, a name in ``scores.SCORES``; where it is ``confidence``, the option ``score``
            may replace it.
        sampler_class: which random choices influence the outcome at a temperature above 0 (METHODS 2.6).
        replay_class: what the record must hold for the log-probabilities to be recomputed.
        paced: whether it reveals what is due. One that is not decides by itself how many go; the canvas decoder then
            calls it until the block is done, with a quota of 1.
        needs_logits: whether ``Step.logits`` is read.
        remembers: whether it keeps anything in ``Step.memory``.
        adapts_blocks: whether ``block_length`` is asked at the opening of each block of a canvas.
    """

    score: ClassVar[str] = "confidence"
    sampler_class: ClassVar[SamplerClass] = "drawn"
    replay_class: ClassVar[ReplayClass] = "selection"
    paced: ClassVar[bool] = True
    needs_logits: ClassVar[bool] = False
    remembers: ClassVar[bool] = False
    adapts_blocks: ClassVar[bool] = False

    @abstractmethod
    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """Pick positions.

        Args:
            scores: (B, b) float32, larger is better; read at masked positions only.
            masked: (B, b) bool.
            step: what is due, and what else the strategy is told.
            config: the strategy's own thresholds.

        Returns:
            (B, b) bool, a subset of ``masked``.
        """

    def cutoffs(self, scores: Tensor, chosen: Tensor, inclusive: bool, config: DecodingConfig) -> Tensor | None:
        """The losing event: what the candidate of each position left behind must have scored below (METHODS 2.6).

        It has to be the whole truth: a position was left behind exactly if its score is below its cutoff, whatever the
        others left behind have drawn. The views ``trace_action`` rest on it.

        Args:
            scores: (B, b) float32; read at chosen positions only.
            chosen: (B, b) bool, what the step revealed. Positions stand in their order in the block; those that were not
                masked may be left out.
            inclusive: as ``Step.inclusive``.
            config: the strategy's own thresholds.

        Returns:
            (B, b) float32, infinite where nothing had to be lost; ``None`` where a candidate's loss is not a matter of its
            own score and what was revealed.
        """
        return None

    def block_length(self, scores: Tensor, masked: Tensor, delimiter: Tensor, config: DecodingConfig) -> Tensor:
        """How many of a block's positions it keeps; asked once, at its opening, if the strategy ``adapts_blocks``.

        Args:
            scores: (B, w) float32 of the first candidates of the block and of what may be added to it.
            masked: (B, w) bool; positions of the row that may belong to the block.
            delimiter: (B, w) bool; positions whose candidate is a delimiter.
            config: thresholds.

        Returns:
            (B,) int64, from 1 to w.
        """
        return masked.sum(-1)


_CLASS_OF_SCORE: dict[str, SamplerClass] = {
    "margin_confidence": "distribution", "neg_entropy": "distribution", "entropy": "distribution", "random": "random"}


def score_of_strategy(strategy: Strategy, config: DecodingConfig) -> str:
    """What positions are ordered by: the option, where the strategy orders by confidence; else the strategy's own."""
    return config.score if config.score is not None and strategy.score == "confidence" else strategy.score


def sampler_class_of(strategy: Strategy, config: DecodingConfig, greedy: bool) -> SamplerClass:
    """What a record says of the random choices behind it: the strategy's class under these settings.

    A penalty for pads and an adapted block look at the candidate that was drawn, and an order temperature draws the order,
    whatever else the strategy orders by. The option ``score`` replaces the candidate's confidence by another order.
    """
    if greedy:
        return "greedy"
    if config.alg_temp or config.pad_target_penalty != 1:
        return "drawn"
    ordered_by = score_of_strategy(strategy, config)
    if ordered_by == strategy.score or strategy.adapts_blocks:
        return strategy.sampler_class
    return _CLASS_OF_SCORE.get(ordered_by, strategy.sampler_class)


def losing_problem(name: str, strategy: Strategy, config: DecodingConfig) -> str | None:
    """Why the loss of discarded candidates has no log-probability under these settings, if it has none.

    Args:
        name: of the strategy, for the sentence.
        strategy: the strategy.
        config: the settings.

    Returns:
        a sentence with the remedy, or ``None``.
    """
    if config.temperature == 0:
        return ("temperature is 0: nothing is drawn, so that no choice has a log-probability; decode rollouts with a "
                "temperature above 0")
    if config.alg_temp:
        return (f"alg_temp is {config.alg_temp:g}, which draws the order itself: whether a candidate loses is then no "
                "matter of its score alone; set alg_temp=0")
    if sampler_class_of(strategy, config, greedy=False) != "drawn":
        return None
    ordered_by = score_of_strategy(strategy, config)
    if ordered_by in ("random", "position"):
        return (f"pad_target_penalty {config.pad_target_penalty:g} lowers a score that the candidate has no other part in "
                f"({ordered_by}); set pad_target_penalty=1")
    nothing = torch.zeros(1, 1)
    if strategy.adapts_blocks or strategy.cutoffs(nothing, nothing.bool(), False, config) is None:
        return (f"remasking_strategy {name!r} has no losing event of a single candidate; use low_confidence_static, "
                "low_confidence_dynamic, threshold_factor, an order that looks at no candidate (random_order, sequential, "
                "neg_entropy, margin, entropy_bounded), or views=trace_all with record_discards=true")
    return None


def ranks(scores: Tensor, masked: Tensor) -> Tensor:
    """(B, b) int64: 0 for the row's best masked position, 1 for the next, equal scores from the left; others last."""
    lowest = torch.finfo(scores.dtype).min
    order = scores.clamp(min=lowest).masked_fill(~masked, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(scores.shape[-1], device=scores.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)


def best(scores: Tensor, masked: Tensor, count: Tensor) -> Tensor:
    """(B, b) bool: the ``count`` (B,) best masked positions of each row, or all if fewer are left."""
    return masked & (ranks(scores, masked) < count[:, None])


def due(step: Step, count: Tensor) -> Tensor:
    """(B,) int64: ``count``, or more than any block holds in rows whose block ends with this step."""
    return torch.where(step.last, torch.iinfo(torch.long).max, count)


def passes(scores: Tensor, threshold: float, step: Step) -> Tensor:
    """(B, b) bool: scores above a threshold; one equal to it passes where the decoder's rule includes it."""
    return scores >= threshold if step.inclusive else scores > threshold


def below_worst(scores: Tensor, chosen: Tensor) -> Tensor:
    """(B, b) float32: the cutoffs of ranking behind the worst chosen position, which a tie to its right does too.

    Args:
        scores: (B, b) float32.
        chosen: (B, b) bool; a row without any has infinite cutoffs.
    """
    worst = ranks(scores, chosen).masked_fill(~chosen, -1).argmax(-1, keepdim=True)
    lowest = scores.gather(-1, worst)
    infinite = torch.full_like(scores, torch.inf)
    place = torch.arange(scores.shape[-1], device=scores.device)
    bound = torch.where(place > worst, torch.nextafter(lowest.expand_as(scores), infinite), lowest)
    return torch.where(chosen.any(-1, keepdim=True), bound, infinite)


def below_threshold(scores: Tensor, threshold: float, inclusive: bool) -> Tensor:
    """(B, b) float32: the cutoffs of not passing a threshold."""
    bound = torch.full_like(scores, threshold)
    return bound if inclusive else torch.nextafter(bound, torch.full_like(bound, torch.inf))


class LowConfidenceStatic(Strategy):
    """The most confident positions, as many as are due."""

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        return best(scores, masked, due(step, step.quota))

    def cutoffs(self, scores: Tensor, chosen: Tensor, inclusive: bool, config: DecodingConfig) -> Tensor | None:
        """See ``Strategy``: behind the worst that was revealed."""
        return below_worst(scores, chosen)


class LowConfidenceDynamic(Strategy):
    """All positions that pass ``dynamic_threshold``; if they are fewer than are due, the best of these."""

    paced: ClassVar[bool] = False

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        sure = masked & passes(scores, config.dynamic_threshold, step)
        return sure | best(scores, masked, due(step, step.quota))

    def cutoffs(self, scores: Tensor, chosen: Tensor, inclusive: bool, config: DecodingConfig) -> Tensor | None:
        """See ``Strategy``: not above the threshold if all that was revealed is, else behind the worst of it."""
        threshold = below_threshold(scores, config.dynamic_threshold, inclusive)
        all_passed = ((scores >= threshold) | ~chosen).all(-1, keepdim=True)
        return torch.where(all_passed, threshold, below_worst(scores, chosen))


class Sequential(Strategy):
    """The left-most masked positions, as many as are due."""

    score: ClassVar[str] = "position"
    sampler_class: ClassVar[SamplerClass] = "sequential"

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        return best(torch.zeros_like(scores), masked, due(step, step.quota))


class EntropyBounded(Strategy):
    """The longest run of most certain positions whose entropies sum to less than ``eb_threshold``, at least one."""

    score: ClassVar[str] = "neg_entropy"
    sampler_class: ClassVar[SamplerClass] = "distribution"
    paced: ClassVar[bool] = False

    def reveal(self, scores: Tensor, masked: Tensor, step: Step, config: DecodingConfig) -> Tensor:
        """See ``Strategy``."""
        entropies = scores.neg().clamp(min=0).masked_fill(~masked, torch.inf).sort(dim=-1).values
        count = (entropies.cumsum(-1, dtype=torch.float64) < config.eb_threshold).sum(-1).clamp(min=1)
        return best(scores, masked, due(step, count))
