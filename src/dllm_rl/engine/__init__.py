"""The fast engine: blocks of many sequences denoised in one forward, whatever their length or step."""

from dllm_rl.engine.engine import Engine

__all__ = ["Engine"]
