"""The flex form against the dense one: forward on the CPU, forward and backward on CUDA."""

import pytest
import torch

from dllm_rl.attention.dense import DenseAttention
from dllm_rl.attention.flex import FlexAttention
from tests.attention.test_chunked import TOLERANCE, random_inputs, values_and_gradients
from tests.helpers.layouts import random_mix


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("seed", [0, 1])
def test_forward_equals_dense(seed: int) -> None:
    layout = random_mix(seed).reshape(1, -1)
    inputs, _ = random_inputs(1, layout.doc.shape[1])
    with torch.no_grad():
        flex, dense = (form(layout).attend(0, *inputs, scale=0.25) for form in (FlexAttention, DenseAttention))
    torch.testing.assert_close(flex, dense, atol=TOLERANCE, rtol=0)


@pytest.mark.cuda
@pytest.mark.parametrize("seed", [0, 1])
def test_values_and_gradients_equal_dense_on_cuda(seed: int) -> None:
    layout = random_mix(seed).reshape(1, -1).to("cuda")
    inputs, grad = random_inputs(1, layout.doc.shape[1])
    inputs, grad = [tensor.cuda() for tensor in inputs], grad.cuda()
    dense = values_and_gradients(DenseAttention(layout), inputs, grad)
    for ours, theirs in zip(values_and_gradients(FlexAttention(layout), inputs, grad), dense, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-2)      # TF32 products on the GPU
