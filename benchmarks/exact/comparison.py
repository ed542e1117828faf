"""The comparison: what every estimator is expected to say, and how far that is from the true gradient.

Letters: S weight draws, T rollouts, D weights.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from benchmarks.exact.enumeration import Enumeration, Trajectory, rollout_of, true_gradient
from benchmarks.exact.estimators import Laid, draws_of, lay_out, loss_items, needs_discards, rollout_gradients
from benchmarks.exact.samplers import StepRule, settings_of
from benchmarks.exact.toy import ToyShape, toy_model
from torch import Tensor

from dllm_rl.families import LanguageModel

REWARDS = ("binary", "real")


@dataclass(frozen=True)
class Figures:
    """How one estimator does on one toy.

    Attributes:
        cosine: between expected and true gradient.
        error: length of the bias, expected minus true gradient, over that of the true gradient.
        variance: of one rollout's estimate (its squared distance from the expected one), times its forward passes, over
            the squared length of the true gradient.

    Example: ``Figures(cosine=1.0, error=1e-7, variance=40.0)``
    """

    cosine: float
    error: float
    variance: float


@dataclass(frozen=True)
class Row:
    """An estimator under a sampler, over all weight draws.

    Attributes:
        sampler, view, loss: names.
        figures: per weight draw.
    """

    sampler: str
    view: str
    loss: str
    figures: tuple[Figures, ...]

    def over_draws(self) -> tuple[float, float, float, float]:
        """Mean and smallest cosine, mean error, mean variance."""
        cosines = [own.cosine for own in self.figures]
        return (mean(cosines), min(cosines), mean(own.error for own in self.figures),
                mean(own.variance for own in self.figures))


@dataclass(frozen=True)
class _World:
    """One weight draw: the model, the chance of every rollout, what rewards say of them, and the truth."""

    lm: LanguageModel
    chances: dict[Trajectory, float]
    rewards: Tensor
    expected: float
    truth: Tensor


def reward_table(shape: ToyShape, kind: str, seed: int) -> Tensor:
    """(V - 1,) * visible positions float64: a fair coin per response, or a standard normal number."""
    size, generator = (shape.num_symbols,) * shape.num_visible, torch.Generator().manual_seed(seed)
    if kind == "binary":
        return torch.randint(0, 2, size, generator=generator).double()
    return torch.randn(size, generator=generator, dtype=torch.float64)


def _world(shape: ToyShape, sampler: str, kind: str, seed: int, with_discards: bool) -> _World:
    lm = toy_model(shape, seed)
    rule = StepRule(lm, shape, settings_of(sampler, shape), with_discards)
    enumeration, rewards = Enumeration(rule, shape), reward_table(shape, kind, seed)
    expected, truth = true_gradient(lm, enumeration, rewards)
    return _World(lm, dict(enumeration.trajectories()), rewards, expected, truth)


def compare(shape: ToyShape, sampler: str, views: Iterable[str], losses: Sequence[str], num_draws: int,
            kind: str = "binary") -> list[Row]:
    """Every view and policy loss under one sampler, for weights and rewards of the seeds 0 to ``num_draws`` - 1."""
    rows: list[Row] = []
    for with_discards in (False, True):
        own = [view for view in views if needs_discards(view) == with_discards]
        if not own:
            continue
        worlds = [_world(shape, sampler, kind, seed, with_discards) for seed in range(num_draws)]
        trajectories = list(dict.fromkeys(one for world in worlds for one in world.chances))
        rollouts = [rollout_of(one, shape, settings_of(sampler, shape), number) for number, one in enumerate(trajectories)]
        chances = [torch.tensor([world.chances.get(one, 0.0) for one in trajectories], dtype=torch.float64)
                   for world in worlds]
        responses = torch.tensor([rollout.response_ids for rollout in rollouts])
        for view in own:
            laid = [lay_out(worlds[0].lm, view, rollouts, seed) for seed in range(draws_of(view, rollouts, worlds[0].lm))]
            for loss in losses:
                rows.append(Row(sampler, view, loss, tuple(
                    _figures(world, laid, chance, world.rewards[tuple(responses.T)] - world.expected, loss)
                    for world, chance in zip(worlds, chances, strict=True))))
    return rows


def _figures(world: _World, draws: Sequence[Laid], chances: Tensor, advantages: Tensor, loss: str) -> Figures:
    """One estimator on one weight draw, averaged over draws of its views."""
    expected, second, passes = torch.zeros_like(world.truth), 0.0, 0.0
    for laid in draws:
        gradients = rollout_gradients(world.lm, laid, advantages, loss_items(loss))
        expected += chances @ gradients / len(draws)
        second += float(chances @ gradients.square().sum(1)) / len(draws)
        passes += float(chances @ laid.num_views) / len(draws)
    length = float(world.truth.norm())
    cosine = float(torch.nn.functional.cosine_similarity(expected, world.truth, dim=0))
    return Figures(cosine, float((expected - world.truth).norm()) / length,
                   (second - float(expected.square().sum())) * passes / length ** 2)
