"""The decoders of full-attention models by name: the canvas loop under different rules.

Each is ``(lm, config, version) -> decoder``, as an entry of ``DECODERS`` has to be.
"""

from functools import partial

from dllm_rl.decoding.canvas_decoder import CanvasDecoder
from dllm_rl.decoding.canvas_rules import PLAIN, CanvasRules

canvas = partial(CanvasDecoder, rules=PLAIN)
"""The default."""

dream = partial(CanvasDecoder, rules=CanvasRules(
    one_block=True, counts="timestep", top_p_first=True, early_stop="never"))
"""Dream's ``diffusion_generate``."""

dream_rl = partial(CanvasDecoder, rules=CanvasRules(
    opening="first", counts="timestep", top_p_first=True, shared_steps=True, early_stop="pad_block"))
"""The original's RL sampler for Dream."""

dream_fast = partial(CanvasDecoder, rules=CanvasRules(
    opening="first", counts="timestep", top_p_first=True, early_stop="never"))
"""Fast-dLLM for Dream, prefix or dual cache."""

dream_parallel = partial(CanvasDecoder, rules=CanvasRules(
    one_block=True, counts="flat", top_p_first=True, early_stop="never"))
"""Fast-dLLM for Dream, without blocks and cache; its strategy is ``carried_threshold``."""

llada = partial(CanvasDecoder, rules=CanvasRules(score_of="raw", early_stop="never"))
"""LLaDA's ``generate``."""

llada_rl = partial(CanvasDecoder, rules=CanvasRules(
    score_of="raw", inner_forward=True, shared_steps=True, early_stop="never"))
"""The original's RL sampler for LLaDA and MMaDA."""

llada_fast = partial(CanvasDecoder, rules=CanvasRules(score_of="raw", early_stop="never"))
"""Fast-dLLM for LLaDA; without a cache, with a prefix cache or a dual one."""
