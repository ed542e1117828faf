"""Everything that can happen: the true policy gradient, and every rollout with its probability."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from benchmarks.exact.samplers import Action, StepRule
from benchmarks.exact.toy import ToyShape
from torch import Tensor

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.families import LanguageModel
from dllm_rl.records import Discards, Rollout

State = tuple[tuple[int, ...], int]
"""Ids of the response positions, and the 0-based step of the current block."""

Trajectory = tuple[Action, ...]


def next_state(state: State, action: Action, shape: ToyShape) -> State:
    """The canvas behind an action; a finished block begins anew at step 0."""
    ids = list(state[0])
    for place, token in action.revealed:
        ids[place] = token
    size = shape.block_size or shape.num_positions
    begin = action.revealed[0][0] // size * size
    done = shape.mask_token_id not in ids[begin:begin + size]
    return tuple(ids), 0 if done else state[1] + 1


@dataclass
class Enumeration:
    """A toy under a sampler: the transitions of every state, found once.

    Attributes:
        rule: what a step can do.
        shape: of the toy.
    """

    rule: StepRule
    shape: ToyShape

    def __post_init__(self) -> None:
        self._known: dict[State, tuple[list[Action], Tensor]] = {}

    @property
    def start(self) -> State:
        """Everything masked."""
        return (self.shape.mask_token_id,) * self.shape.num_positions, 0

    def actions(self, state: State) -> tuple[list[Action], Tensor]:
        """As ``StepRule.actions``."""
        if state not in self._known:
            self._known[state] = self.rule.actions(*state)
        return self._known[state]

    def expected_reward(self, rewards: Tensor) -> Tensor:
        """Expected reward, differentiable in the weights: ``rewards`` is (V - 1,) * visible positions, float64."""
        known: dict[State, Tensor] = {}

        def value(state: State) -> Tensor:
            if self.shape.mask_token_id not in state[0]:
                return rewards[state[0][:self.shape.num_visible]]
            if state not in known:
                actions, probability = self.actions(state)
                known[state] = probability @ torch.stack([value(next_state(state, own, self.shape)) for own in actions])
            return known[state]

        return value(self.start)

    def trajectories(self) -> Iterator[tuple[Trajectory, float]]:
        """Every sequence of actions with its probability."""
        open_: list[tuple[State, Trajectory, float]] = [(self.start, (), 1.0)]
        while open_:
            state, taken, chance = open_.pop()
            if self.shape.mask_token_id not in state[0]:
                yield taken, chance
                continue
            actions, probability = self.actions(state)
            for action, own in zip(actions, probability.tolist(), strict=True):
                open_.append((next_state(state, action, self.shape), (*taken, action), chance * own))


def rollout_of(trajectory: Trajectory, shape: ToyShape, settings: RecordedDecoding, seed: int) -> Rollout:
    """The record a decoder would make of a sequence of actions."""
    ids, steps = [0] * shape.num_positions, [0] * shape.num_positions
    discards = Discards()
    for number, action in enumerate(trajectory, 1):
        for place, token in action.revealed:
            ids[place], steps[place] = token, number
        discards.add(number, [place for place, _ in action.discarded], [token for _, token in action.discarded])
    visible, size = shape.num_visible, shape.block_size or shape.num_positions
    return Rollout(
        shape.prompt_ids, ids[:visible], steps[:visible], tail_ids=ids[visible:], tail_steps=steps[visible:],
        finish_reason="length", num_forwards=len(trajectory), block_size=shape.block_size,
        block_ends=list(range(size, shape.num_positions + 1, size)), decoding=settings, seed=seed, discards=discards)


def true_gradient(lm: LanguageModel, enumeration: Enumeration, rewards: Tensor) -> tuple[float, Tensor]:
    """The expected reward and its (D,) gradient in the weights."""
    expected = enumeration.expected_reward(rewards)
    weights = [weight for weight in lm.backbone.parameters() if weight.requires_grad]
    gradient = torch.autograd.grad(expected, weights, retain_graph=True)
    return float(expected.detach()), torch.cat([part.flatten() for part in gradient])
