"""Foretold bytes against the bytes that torch holds."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dllm_rl.attention import attention_for
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.optimizer import OptimizerConfig
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT
from dllm_rl.training.memory import (
    CHUNK_COPIES,
    activation_bytes,
    decoding_bytes,
    head_bytes,
    model_sizes,
    training_bytes,
)
from dllm_rl.training.optimizer import Optimizer

DTYPES = [torch.float32, torch.bfloat16]


def model(dtype: torch.dtype = torch.float32, vocabulary: int = 50) -> LanguageModel:
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
             "intermediate_size": 160, "vocab_size": vocabulary, "max_position_embeddings": 2048, "rope_theta": 10000.0,
             "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
    lm = create_model("sdar", sizes, None, {"mask": 1, "pad": 0, "eos": 0}, block_size=4)
    lm.backbone.to(dtype)
    return lm


def saved_bytes(lm: LanguageModel, num_tokens: int) -> int:
    """Bytes of all storages that autograd keeps of a pass, the weights' own left out."""
    weights = {weight.untyped_storage().data_ptr() for weight in lm.backbone.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor      # held, so that no later tensor takes its address
        return tensor

    position = torch.arange(num_tokens)[None]
    layout = Layout(position, torch.zeros_like(position), torch.full_like(position, NO_PARENT),
                    torch.zeros_like(position), position // 4)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        lm.hidden(position % lm.vocab_size, position, attention_for(layout))
    return sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_tokens", [60, 384, 385, 1000])
def test_activations_are_what_autograd_keeps(dtype: torch.dtype, num_tokens: int) -> None:
    """Within 3 %: statistics of norms, attention's normalisers and the rotation are left out of the formula."""
    lm = model(dtype)
    assert activation_bytes(model_sizes(lm), num_tokens) == pytest.approx(saved_bytes(lm, num_tokens), rel=0.03)


@pytest.mark.parametrize("dtype", DTYPES)
def test_optimiser_and_gradients_are_those_of_the_optimiser(dtype: torch.dtype) -> None:
    lm = model(dtype)
    sizes = model_sizes(lm)
    parts, _ = training_bytes(sizes, "cpu", 10, 10)
    optimizer = Optimizer(lm, OptimizerConfig(), 1)
    for weight in lm.backbone.parameters():
        (weight * torch.ones_like(weight)).sum().backward()
    own = [weight.grad for weight in lm.backbone.parameters() if weight.grad is not None]
    masters = {name: master for name, master in optimizer.masters().items()
               if master.data_ptr() != lm.backbone.get_parameter(name).data_ptr()}
    assert parts["gradients"] == 4 * sizes.parameters
    assert sum(gradient.nbytes for gradient in own) == (parts["gradients"] if dtype == torch.float32 else 0)
    optimizer.step()
    moments = sum(tensor.nbytes for name, tensor in optimizer.moments().items() if not name.endswith(":step"))
    assert parts["optimiser"] == moments + sum(master.nbytes for master in masters.values())


def test_the_peak_is_the_largest_sum_that_exists_at_once() -> None:
    sizes = model_sizes(model())
    parts, peak = training_bytes(sizes, "cpu", 100, 40)
    assert peak == sizes.weights + sum(parts.values())
    parts, peak = training_bytes(sizes, "cuda:0", 1, 1)
    assert parts["step of the optimiser"] == 4 * sizes.parameters
    assert peak == sizes.weights + parts["optimiser"] + parts["gradients"] + parts["step of the optimiser"]
    parts, peak = training_bytes(sizes, "cuda", 10_000, 1)
    assert peak == sizes.weights + sum(parts.values()) - parts["step of the optimiser"]


def test_the_output_matrix_is_held_a_chunk_at_a_time() -> None:
    small, large = model_sizes(model()), model_sizes(model(vocabulary=2**20))
    assert head_bytes(small, 7) == 4 * 50 * (CHUNK_COPIES * 7 + 48)
    assert head_bytes(large, 10**6) == 4 * 2**20 * (CHUNK_COPIES * 32 + 48)
    rounded = model_sizes(model(torch.bfloat16))
    assert head_bytes(rounded, 7) - head_bytes(small, 7) == 4 * 50 * 48


class CacheAllocations(TorchDispatchMode):
    """Adds up the four-dimensional tensors of zeros that are allocated: the decoder's cache."""

    nbytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.new_zeros.default and out.dim() == 4:
            self.nbytes += out.nbytes
        return out


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_cache_is_what_the_decoder_allocates(dtype: torch.dtype) -> None:
    lm, config = model(dtype), DecodingConfig(max_gen_length=7, batch_size=8, ignore_eos=True)
    with CacheAllocations() as seen:
        generate(lm, [[5] * 9, [5] * 6], config)
    assert decoding_bytes(model_sizes(lm), config, 2, 8 + 12, 4)["key/value cache"] == seen.nbytes > 0


def test_top_p_sorts_and_rounded_weights_are_copied() -> None:
    plain, sizes = DecodingConfig(), model_sizes(model())
    assert decoding_bytes(sizes, plain, 2, 16, 4)["logits of one decoding step"] == 2 * 4 * 50 * 24
    assert decoding_bytes(sizes, DecodingConfig(top_p=0.9), 2, 16, 4)["logits of one decoding step"] == 2 * 4 * 50 * 44
    rounded = decoding_bytes(model_sizes(model(torch.bfloat16)), plain, 2, 16, 4)
    assert rounded["logits of one decoding step"] == 2 * 4 * 50 * 24 + 4 * 50 * 48


def test_sizes_are_those_of_the_weights() -> None:
    sizes = model_sizes(model(torch.bfloat16))
    layer = 48 * (64 + 32 + 32 + 64) + 3 * 48 * 160 + 2 * 48 + 2 * 16
    assert sizes.parameters == 2 * 50 * 48 + 3 * layer + 48
    assert (sizes.weights, sizes.checkpoint) == (2 * sizes.parameters, 12 * sizes.parameters)
    assert (sizes.queries, sizes.keys, sizes.is_rounded) == (64, 32, True)
