"""Random choices of views."""

import torch

from dllm_rl.records import Rollout, Sample, ViewContext
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers

PLAIN = ViewContext()


def test_a_key_depends_on_seed_pass_ids_their_border_and_the_request() -> None:
    base = Sample([1, 2], [3, 4])
    twins = [Rollout([1, 2], [3, 4], [1, 1], seed=seed) for seed in (5, 6)]
    others = [*(sample_key(base, context) for context in (
                  PLAIN, ViewContext(seed=1), ViewContext(pass_number=1, num_passes=3),
                  ViewContext(pass_number=2, num_passes=3))),
              *(sample_key(one, PLAIN) for one in (Sample([1, 2], [4, 3]), Sample([1], [2, 3, 4]), *twins))]
    assert len({int(key) for key in others}) == len(others)
    assert sample_key(base, PLAIN) == sample_key(Sample([1, 2], [3, 4], [2, 1]), ViewContext(num_passes=3))


def test_any_seed_is_taken() -> None:
    keys = {int(sample_key(Sample([1], [2]), ViewContext(seed=seed))) for seed in (-1, 0, 2**63, 2**63 - 1)}
    assert len(keys) == 4


def test_purposes_and_draws_are_independent_and_equal_indices_agree() -> None:
    key, index = sample_key(Sample([1], [2]), PLAIN), torch.tensor([-2, -2, 0, 1])
    first, other, later = (uniform_numbers(key, purpose, draw, index) for purpose, draw in
                           ((Purpose.RATIO, 0), (Purpose.MASK, 0), (Purpose.RATIO, 1)))
    assert first[0] == first[1] and len(first.unique()) == 3
    assert not (first == other).any() and not (first == later).any()


def test_masks_follow_their_probabilities() -> None:
    key = sample_key(Sample([1], [2]), PLAIN)
    probability = torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64)
    share = torch.stack([bernoulli_mask(key, draw, probability) for draw in range(4000)]).double().mean(0)
    assert share[0] == 0 and share[3] == 1
    # Standard deviation of a share: sqrt(.1875 / 4000) = 0.007.
    assert (share - probability).abs().max() < 0.025
