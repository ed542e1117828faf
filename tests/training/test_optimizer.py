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
