"""The step record."""

import torch

from dllm_rl.decoding.step import Step


def test_steps_do_not_share_their_memory() -> None:
    one, two = Step.of_quota(torch.tensor([1])), Step.of_quota(torch.tensor([2]))
    one.memory["kept"] = torch.ones(1)
    assert two.memory == {}
    assert (two.last.tolist(), two.inclusive, two.logits) == ([False], False, None)
