"""The attention rule of the framework: who may attend to whom, from five integers per token."""

from torch import Tensor

from dllm_rl.records.layout import Layout


def attends(query: Layout, key: Layout) -> Tensor:
    """The rule itself, element by element on layouts whose tensors broadcast against each other.

    A query sees its clean history, which is every earlier clean block of its own document or of the document it
    continues, and its own block in its own view. That one sentence is full attention (one block), block-causal
    prefill, causal attention (blocks of 1), the three-part block-diffusion training mask, any number of noisy views on
    one clean copy, and packing.

    Returns:
        bool of the broadcast shape; true where the query may attend to the key.
    """
    same_doc = key.doc == query.doc
    history = (same_doc | (key.doc == query.parent)) & (key.view == 0) & (key.block < query.block)
    return history | same_doc & (key.view == query.view) & (key.block == query.block)


def may_attend(query: Layout, key: Layout) -> Tensor:
    """The rule for every pair.

    Args:
        query: layout of shape (..., Nq).
        key: layout of shape (..., Nk) with equal leading axes.

    Returns:
        (..., Nq, Nk) bool.
    """
    return attends(query.index((..., slice(None), None)), key.index((..., None, slice(None))))
