"""Checkpoint families over stock backbones: load, run, save."""

from dllm_rl.families.family import Family
from dllm_rl.families.language_model import LanguageModel
from dllm_rl.families.loading import create_model, load_model, outline_model

__all__ = ["Family", "LanguageModel", "create_model", "load_model", "outline_model"]
