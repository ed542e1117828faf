"""dllm-rl: run, fine-tune and reinforce diffusion language models.

Names are imported when they are first used, so that ``import dllm_rl`` loads no torch.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "DecodingConfig": "dllm_rl.config.decoding:DecodingConfig",
    "Engine": "dllm_rl.engine:Engine",
    "EngineConfig": "dllm_rl.config.engine:EngineConfig",
    "Layout": "dllm_rl.records:Layout",
    "Rollout": "dllm_rl.records:Rollout",
    "Sample": "dllm_rl.records:Sample",
    "Scored": "dllm_rl.records:Scored",
    "Task": "dllm_rl.records:Task",
    "View": "dllm_rl.records:View",
    "build_views": "dllm_rl.views:build_views",
    "generate": "dllm_rl.decoding:generate",
    "load_model": "dllm_rl.families:load_model",
    "rewards": "dllm_rl.rewards",
    "target_logprobs": "dllm_rl.likelihood:target_logprobs",
}
"""Public names, and the module or the object of a module that each stands for."""

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dllm_rl' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    loaded = importlib.import_module(module)
    return vars(loaded)[attribute] if attribute else loaded


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
