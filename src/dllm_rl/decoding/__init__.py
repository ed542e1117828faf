"""Decoding, the readable path: sampling, scores, unmasking strategies, and the block loop with its cache."""

from dllm_rl.decoding.block_decoder import BlockDecoder
from dllm_rl.decoding.local_decoder import LocalDecoder, generate
from dllm_rl.decoding.request import Request

__all__ = ["BlockDecoder", "LocalDecoder", "Request", "generate"]
