"""The one attention rule and its forms: dense, chunked, flex, open. A decoder's cache is a further context of its own."""

from dllm_rl.attention.choice import attention_for
from dllm_rl.attention.chunked import ChunkedAttention
from dllm_rl.attention.context import AttentionContext
from dllm_rl.attention.dense import DenseAttention
from dllm_rl.attention.flex import FlexAttention
from dllm_rl.attention.open import OpenAttention
from dllm_rl.attention.rule import attends, may_attend

__all__ = ["AttentionContext", "ChunkedAttention", "DenseAttention", "FlexAttention", "OpenAttention", "attends",
           "attention_for", "may_attend"]
