"""Toys: the library's attention feeds them, and their gradients are what autograd says."""

import pytest
import torch
from benchmarks.exact.toy import NEVER, ToyNetwork, ToyShape, toy_model


def test_a_shape_says_what_a_reward_sees() -> None:
    shape = ToyShape(4, 3, block_size=2, num_tail=1)
    assert (shape.num_visible, shape.mask_token_id, shape.prompt_ids) == (3, 3, [0, 0])


@pytest.mark.parametrize("size", [None, 2])
def test_logits_depend_on_what_is_seen_alone(size: int | None) -> None:
    lm = toy_model(ToyShape(4, 3, size), seed=0)
    first, second = (lm.logits(torch.tensor([[0, 0, *ids]]))[0, 2:] for ids in ([1, 2, 3, 3], [1, 2, 3, 0]))
    assert bool((first[:, 3] == NEVER).all())
    assert torch.equal(first[:2], second[:2]) == (size == 2)        # the second block is behind the first
    assert not torch.allclose(first[2:], second[2:])


def test_logits_are_those_of_the_visible_tokens() -> None:
    lm = toy_model(ToyShape(2, 3), seed=1)
    network = lm.backbone
    assert isinstance(network, ToyNetwork)
    features = torch.zeros(8, dtype=torch.float64)
    features[[2, 4 + 3]] = 1        # id 2 at the first position, the mask at the second
    expected = network.logits(features, torch.tensor(1)).float()
    assert lm.logits(torch.tensor([[0, 0, 2, 3]]))[0, 3].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_masked_prompt_changes_nothing() -> None:
    lm = toy_model(ToyShape(2, 3), seed=1)
    clean, masked = (lm.logits(torch.tensor([[token, 0, 2, 3]]))[0, 2:] for token in (0, 3))
    torch.testing.assert_close(clean, masked)


def test_row_gradients_are_those_of_autograd() -> None:
    network = ToyNetwork(ToyShape(3, 2), seed=2)
    generator = torch.Generator().manual_seed(0)
    features = torch.randint(0, 2, (5, 9), generator=generator).double()
    place, upstream = torch.tensor([0, 2, 1, 2, 0]), torch.randn(5, 3, generator=generator).double()
    found = network.row_gradients(features, place, upstream)
    for row in range(5):
        network.zero_grad()
        (network.logits(features[row], place[row]) * upstream[row]).sum().backward()
        expected = torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.requires_grad])
        torch.testing.assert_close(found[row], expected)
