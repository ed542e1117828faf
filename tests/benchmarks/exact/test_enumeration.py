"""The enumeration: complete, differentiable, and of the very rollouts that the decoders make."""

import pytest
import torch
from benchmarks.exact.comparison import reward_table
from benchmarks.exact.enumeration import Enumeration, rollout_of, true_gradient
from benchmarks.exact.samplers import SAMPLERS, StepRule, settings_of
from benchmarks.exact.toy import ToyShape, toy_model

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import generate
from dllm_rl.records import Rollout

SHAPES = [ToyShape(3, 2), ToyShape(4, 2, block_size=2, num_tail=1)]


def enumeration_of(shape: ToyShape, sampler: str, seed: int, with_discards: bool) -> Enumeration:
    return Enumeration(StepRule(toy_model(shape, seed), shape, settings_of(sampler, shape), with_discards), shape)


def what_happened(rollout: Rollout) -> tuple:
    """Tokens, steps and discards of a record."""
    assert rollout.discards is not None
    drawn = zip(rollout.discards.steps, rollout.discards.places, rollout.discards.ids, strict=True)
    return (*rollout.response_ids, *rollout.tail_ids), (*rollout.step_map, *rollout.tail_steps), tuple(sorted(drawn))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_decoders_do_what_is_enumerated_as_often_as_it_says(shape: ToyShape, sampler: str) -> None:
    settings = settings_of(sampler, shape)
    enumeration = enumeration_of(shape, sampler, 0, with_discards=True)
    chances: dict[tuple, float] = {}
    for number, (trajectory, chance) in enumerate(enumeration.trajectories()):
        key = what_happened(rollout_of(trajectory, shape, settings, number))
        chances[key] = chances.get(key, 0.0) + chance
    assert sum(chances.values()) == pytest.approx(1, abs=1e-9)
    config = DecodingConfig.model_validate(settings.model_dump(
        exclude={"sampler_class", "replay_class", "top_p_first", "opens_alone"}))
    num = 400
    [group] = generate(toy_model(shape, 0), [shape.prompt_ids], config, num_samples=num)
    seen: dict[tuple, int] = {}
    for rollout in group:
        assert rollout.decoding.sampler_class == settings.sampler_class
        seen[what_happened(rollout)] = seen.get(what_happened(rollout), 0) + 1
    assert set(seen) <= set(chances)
    likely = max(chances, key=chances.__getitem__)
    spread = (num * chances[likely] * (1 - chances[likely])) ** 0.5
    assert abs(seen.get(likely, 0) - num * chances[likely]) < 4 * spread + 1


@pytest.mark.parametrize("sampler", ["R random order", "M entropy", "D static 1", "D dynamic"])
def test_the_true_gradient_is_that_of_finite_differences(sampler: str) -> None:
    shape = SHAPES[1]
    enumeration = enumeration_of(shape, sampler, 3, with_discards=False)
    rewards = reward_table(shape, "real", 3)
    lm = enumeration.rule._lm
    expected, gradient = true_gradient(lm, enumeration, rewards)
    assert expected == pytest.approx(float(enumeration.expected_reward(rewards).detach()))
    weight, step, values = lm.backbone.outer_bias, 1e-3, []
    for sign in (1, -1):
        with torch.no_grad():
            weight[1, 0] += sign * step
            values.append(float(Enumeration(enumeration.rule, shape).expected_reward(rewards)))
            weight[1, 0] -= sign * step
    place = sum(own.numel() for own in (lm.backbone.inner, lm.backbone.inner_bias, lm.backbone.outer)) + 2
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(gradient[place]), abs=1e-4)


def test_actions_without_discards_are_their_sums() -> None:
    shape = ToyShape(3, 2)
    start = ((2, 2, 2), 0)
    whole, apart = (enumeration_of(shape, "D static 1", 1, told).actions(start) for told in (False, True))
    sums: dict = {}
    for action, chance in zip(apart[0], apart[1].tolist(), strict=True):
        sums[action.revealed] = sums.get(action.revealed, 0.0) + chance
    assert {action.revealed: pytest.approx(chance) for action, chance in zip(whole[0], whole[1].tolist(), strict=True)} \
        == sums
