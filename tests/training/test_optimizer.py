"""AdamW, its schedule, and a gradient that is not finite."""

import pytest
import torch

from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.training.optimizer import Optimizer
from tests.families.test_loading import SIZES


@pytest.fixture
def lm() -> LanguageModel:
    return create_model("sdar", SIZES, None, {"mask": 1, "pad": 0, "eos": 0}, 4)


def rates(lm: LanguageModel, config: OptimizerConfig, num_updates: int) -> list[float]:
    optimizer, found = Optimizer(lm, config, num_updates), []
    for _ in range(num_updates):
        found.append(optimizer.learning_rate)
        optimizer.step()
    return found


def test_the_schedules_by_hand(lm: LanguageModel) -> None:
    for parameter in lm.backbone.parameters():
        parameter.grad = torch.zeros_like(parameter)
    warm = OptimizerConfig(learning_rate=1.0, warmup_steps=2)
    assert rates(lm, warm, 4) == [0.5, 1.0, 1.0, 1.0]
    cosine = warm.model_copy(update={"scheduler": "cosine"})
    assert rates(lm, cosine, 4) == pytest.approx([0.5, 1.0, 1.0, 0.5])


def test_clipping_returns_the_norm_before_it(lm: LanguageModel) -> None:
    first, *rest = lm.backbone.parameters()
    first.grad = torch.full_like(first, 3.0)
    for parameter in rest:
        parameter.grad = torch.zeros_like(parameter)
    assert Optimizer(lm, OptimizerConfig(), 1).step() == pytest.approx(3.0 * first.numel() ** 0.5)


def test_a_gradient_that_is_not_finite_changes_nothing(lm: LanguageModel) -> None:
    before = [parameter.detach().clone() for parameter in lm.backbone.parameters()]
    for parameter in lm.backbone.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    with pytest.raises(FloatingPointError, match="the update was not made"):
        Optimizer(lm, OptimizerConfig(), 1).step()
    assert all(torch.equal(old, new) for old, new in zip(before, lm.backbone.parameters(), strict=True))


def gradients(lm: LanguageModel, scale: float) -> None:
    """The gradients of ``scale * sum of all weights``, made by a backward pass."""
    (scale * sum(own.float().sum() for own in lm.backbone.parameters())).backward()


def test_masters_keep_steps_that_the_weights_cannot_hold(lm: LanguageModel) -> None:
    lm.backbone.to(torch.bfloat16)
    with torch.no_grad():
        for own in lm.backbone.parameters():
            own.fill_(1.0)
    optimizer = Optimizer(lm, OptimizerConfig(learning_rate=1e-4, max_grad_norm=None), 100)
    for _ in range(10):
        gradients(lm, 1.0)
        assert all(own.grad is None for own in lm.backbone.parameters())
        optimizer.step()
    for name, own in lm.backbone.named_parameters():
        torch.testing.assert_close(optimizer.masters()[name], torch.full(own.shape, 1 - 1e-3), atol=1e-6, rtol=0)
        assert own.dtype == torch.bfloat16
        assert bool((own == 1.0).all())       # bfloat16 has nothing between 1 and 0.996
    for _ in range(20):
        gradients(lm, 1.0)
        optimizer.step()
    assert all(float(own.detach().flatten()[0]) == 0.99609375 for own in lm.backbone.parameters())


def test_gradients_of_micro_batches_add_up_in_float32(lm: LanguageModel) -> None:
    lm.backbone.to(torch.bfloat16)
    optimizer = Optimizer(lm, OptimizerConfig(max_grad_norm=None), 1)
    for scale in (256.0, *[1.0] * 16):        # bfloat16 would lose every 1 beside 256
        gradients(lm, scale)
    count = sum(own.numel() for own in lm.backbone.parameters())
    assert optimizer.step() == pytest.approx(272.0 * count ** 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_stored_goes_on_bit_for_bit(dtype: torch.dtype) -> None:
    def fresh(seed: int) -> tuple[LanguageModel, Optimizer]:
        lm = create_model("sdar", SIZES, None, {"mask": 1, "pad": 0, "eos": 0}, 4, seed=seed)
        lm.backbone.to(dtype)
        return lm, Optimizer(lm, OptimizerConfig(learning_rate=0.01, warmup_steps=3), 10)

    lm, optimizer = fresh(0)
    for scale in (1.0, 2.0):
        gradients(lm, scale)
        optimizer.step()
    other_lm, other = fresh(1)
    stored = {name: tensor.clone() for name, tensor in optimizer.masters().items()}
    other.load(stored, {name: tensor.clone() for name, tensor in optimizer.moments().items()}, optimizer.num_updates)
    for model, own in ((lm, optimizer), (other_lm, other)):
        assert own.learning_rate == 0.01
        gradients(model, 3.0)
        own.step()
    assert all(torch.equal(ours, theirs) for ours, theirs in
               zip(lm.backbone.parameters(), other_lm.backbone.parameters(), strict=True))
    assert all(torch.equal(tensor, other.moments()[name]) for name, tensor in optimizer.moments().items())


def test_weights_of_another_model_are_refused(lm: LanguageModel) -> None:
    optimizer = Optimizer(lm, OptimizerConfig(), 1)
    masters = optimizer.masters()
    name = sorted(masters)[0]
    with pytest.raises(ValueError, match=f"another model: {name} is \\(1,\\) there"):
        optimizer.load({**masters, name: torch.zeros(1)}, {}, 0)
