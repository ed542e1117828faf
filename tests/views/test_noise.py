"""Random choices of views."""

import torch

from dllm_rl.records import Rollout, Sample
from dllm_rl.views.noise import Purpose, bernoulli_mask, sample_key, uniform_numbers


def test_a_key_depends_on_seed_ids_their_border_and_the_request() -> None:
    base = Sample([1, 2], [3, 4])
    others = [sample_key(base, 1), sample_key(Sample([1, 2], [4, 3]), 0), sample_key(Sample([1], [2, 3, 4]), 0),
              sample_key(Rollout([1, 2], [3, 4], [1, 1], seed=5), 0),
              sample_key(Rollout([1, 2], [3, 4], [1, 1], seed=6), 0), sample_key(base, 0)]
    assert len({int(key) for key in others}) == len(others)
    assert sample_key(base, 0) == sample_key(Sample([1, 2], [3, 4], [2, 1]), 0)


def test_any_seed_is_taken() -> None:
    keys = {int(sample_key(Sample([1], [2]), seed)) for seed in (-1, 0, 2**63, 2**63 - 1)}
    assert len(keys) == 4


def test_purposes_and_draws_are_independent_and_equal_indices_agree() -> None:
    key, index = sample_key(Sample([1], [2]), 0), torch.tensor([-2, -2, 0, 1])
    first, other, later = (uniform_numbers(key, purpose, draw, index) for purpose, draw in
                           ((Purpose.RATIO, 0), (Purpose.MASK, 0), (Purpose.RATIO, 1)))
    assert first[0] == first[1] and len(first.unique()) == 3
    assert not (first == other).any() and not (first == later).any()


def test_masks_follow_their_probabilities() -> None:
    key = sample_key(Sample([1], [2]), 0)
    probability = torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64)
    share = torch.stack([bernoulli_mask(key, draw, probability) for draw in range(4000)]).double().mean(0)
    assert share[0] == 0 and share[3] == 1
    # Standard deviation of a share: sqrt(.1875 / 4000) = 0.007.
    assert (share - probability).abs().max() < 0.025
