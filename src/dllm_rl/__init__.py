"""dllm-rl: run, fine-tune and reinforce diffusion language models.

Names are imported when they are first used, so that ``import dllm_rl`` loads no torch.
"""

from dllm_rl.registry import load_object

__version__ = "0.1.0"

_PUBLIC = {
    "DecodingConfig": "dllm_rl.config.decoding:DecodingConfig",
    "Layout": "dllm_rl.records:Layout",
    "Rollout": "dllm_rl.records:Rollout",
    "Sample": "dllm_rl.records:Sample",
    "Scored": "dllm_rl.records:Scored",
    "Task": "dllm_rl.records:Task",
    "View": "dllm_rl.records:View",
    "build_views": "dllm_rl.views:build_views",
    "generate": "dllm_rl.decoding:generate",
    "load_model": "dllm_rl.families:load_model",
    "target_logprobs": "dllm_rl.likelihood:target_logprobs",
}
_ROOMS = ("rewards",)

__all__ = [*_PUBLIC, *_ROOMS]


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name in _ROOMS:
        import importlib

        return importlib.import_module(f"dllm_rl.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dllm_rl' has no attribute {name!r}")
    return load_object(_PUBLIC[name])


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
