"""A model from the options that name it."""

from typing import Any

from dllm_rl.config.model import ModelConfig
from dllm_rl.families import Family, LanguageModel, load_model, outline_model
from dllm_rl.families.loading import family_of, read_published_config, resolve_folder
from dllm_rl.families.sanity import check_predictions


def load_configured(config: ModelConfig) -> LanguageModel:
    """The checkpoint with the overrides of the configuration; errors as in ``load_model`` and ``check_predictions``."""
    lm = load_model(config.path, config.device, config.dtype, **_overrides(config))
    check_predictions(lm)
    return lm


def outline_configured(config: ModelConfig) -> LanguageModel:
    """The same without weights; see ``outline_model``."""
    return outline_model(config.path, config.dtype, **_overrides(config))


def family_configured(config: ModelConfig) -> Family:
    """The family alone, from the checkpoint's ``config.json``; ``ValueError`` as in ``load_model``."""
    return family_of(read_published_config(resolve_folder(config.path)))


def _overrides(config: ModelConfig) -> dict[str, Any]:
    return {"mask_token_id": config.mask_token_id, "pad_token_id": config.pad_token_id,
            "eos_token_id": config.eos_token_id, "block_size": config.block_size}
