"""The one adapter to transformers: every call that depends on its version stands here.

A backbone is a stock causal LM whose attention is ours: the registered attention function hands queries, keys and
values to the ``AttentionContext`` that came with the batch, so no mask is ever built by transformers.
"""

import json
import textwrap
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.utils import logging

from dllm_rl.attention import AttentionContext
from dllm_rl.families.family import Family

ATTENTION = "dllm_rl"
"""Name our attention function is registered under."""

_NOT_BACKBONE = ("architectures", "model_type", "torch_dtype", "dtype", "auto_map", "attn_implementation",
                 "transformers_version", "pad_token_id", "use_cache")
_NOT_IN_4 = ("rope_parameters", "layer_types", "num_local_experts")
_EVERY_CONFIG = frozenset(PreTrainedConfig().to_dict())


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, *,
               scaling: float, attention_context: AttentionContext, **unused: object) -> tuple[Tensor, None]:
    out = attention_context.attend(int(module.layer_idx), query, key, value, scaling)  # type: ignore[arg-type]
    return out.transpose(1, 2), None


AttentionInterface.register(ATTENTION, _attention)


def backbone_config(family: Family, published: Mapping[str, Any]) -> PreTrainedConfig:
    """The stock config of a published ``config.json``.

    The pad id stays out: with it a stock embedding would give the pad row no gradient (SPEC 13, pad row).

    Raises:
        ValueError: a setting that the stock model does not compute, settings that are absent or contradict each other.
    """
    for key, allowed in family.required.items():
        if key in published and published[key] not in allowed:
            raise ValueError(f"config.json has {key} {published[key]!r}, which family {family.name!r} does not compute "
                             f"(allowed: {', '.join(map(repr, allowed))})")
    lacking = [key for key in family.config_names if key not in published]
    if lacking:
        raise ValueError(f"config.json lacks {', '.join(lacking)}, which family {family.name!r} needs; add them")
    keys = {own: published[key] for key, own in family.config_names.items()} or {
        key: value for key, value in published.items()
        if key not in _NOT_BACKBONE and not (key == "rope_scaling" and value is None)}
    try:      # a copy, since transformers completes what it is given
        return AutoConfig.for_model(family.backbone, use_cache=False, pad_token_id=None, **deepcopy(keys))
    except StrictDataclassError as error:
        raise ValueError(f"config.json contradicts itself: {' '.join(str(error).split())}") from error


def create_backbone(config: PreTrainedConfig, dtype: torch.dtype, weight_names: Mapping[str, str]) -> PreTrainedModel:
    """A backbone with fresh weights, drawn from torch's global generator; saved under the published ``weight_names``."""
    model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.set_attn_implementation(ATTENTION)
    # save_pretrained undoes the conversions that from_pretrained leaves here; a fresh model has to be told of ours.
    model._weight_conversions = get_model_conversion_mapping(model, dict(weight_names) or None, add_legacy=False)
    return model


def read_backbone(folder: Path, config: PreTrainedConfig, dtype: torch.dtype,
                  weight_names: Mapping[str, str]) -> PreTrainedModel:
    """A backbone with the weights of ``folder``, whose names are mapped by ``weight_names``, here and when it is saved.

    Raises:
        ValueError: the weights are damaged, or do not fit the config; names the file or the tensors.
    """
    try:      # tensors of a wrong shape are let through to the report, which says more than the error
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, key_mapping=dict(weight_names) or None, local_files_only=True,
            output_loading_info=True, ignore_mismatched_sizes=True)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"the weights in {folder} cannot be read ({error}); the files may be half-written: "
                         "copy or download the checkpoint again") from error
    model, report = loaded
    wrong = {name: sorted(map(str, report[name])) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")
             if report.get(name)}
    if wrong:
        raise ValueError(f"the weights in {folder} do not fit its config.json: {wrong}")
    model.set_attn_implementation(ATTENTION)
    return model


def write_backbone(model: PreTrainedModel, folder: Path, dtype: torch.dtype, max_shard_size: str,
                   masters: Mapping[str, Tensor]) -> None:
    """Write the weights as ``dtype`` under the published names, in files of at most ``max_shard_size``; no config.

    ``masters`` stand in for weights of these names.
    """
    cast = None
    if dtype != model.dtype or masters:
        cast = {name: masters.get(name, tensor).to(dtype) for name, tensor in model.state_dict().items()}
    model.save_pretrained(folder, max_shard_size=max_shard_size, state_dict=cast)
    for extra in ("config.json", "generation_config.json"):
        (folder / extra).unlink(missing_ok=True)


def backbone_settings(model: PreTrainedModel) -> dict[str, Any]:
    """The settings of a backbone under the key names of transformers 4, which published readers expect."""
    settings = model.config.to_dict()
    rope = settings["rope_parameters"]
    own = {key: value for key, value in settings.items() if key not in _EVERY_CONFIG and key not in _NOT_IN_4}
    return {**own, "rope_theta": rope["rope_theta"], "transformers_version": settings["transformers_version"]}


def read_tokenizer(folder: Path, config: PreTrainedConfig) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a checkpoint folder; ``None`` if the folder has none.

    The stock config is handed over because transformers knows no published ``model_type`` of a diffusion model. A
    vocabulary of ``vocab.json`` and ``merges.txt`` is read by the backbone's own class: a published folder may name one
    of its own in remote code, which we do not run.

    Raises:
        ValueError: a file of the tokenizer is absent or damaged.
    """
    whole, parts = folder / "tokenizer.json", [folder / "vocab.json", folder / "merges.txt"]
    if not (folder / "tokenizer_config.json").is_file() and not whole.is_file():
        return None
    if not whole.is_file() and not all(part.is_file() for part in parts):
        raise ValueError(f"{folder} has tokenizer_config.json but no vocabulary: neither tokenizer.json nor vocab.json "
                         "with merges.txt; is the download or the save complete?")
    stock = {} if whole.is_file() else {"tokenizer_type": config.model_type}
    try:
        return AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True, trust_remote_code=False,
                                             **stock)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"the tokenizer in {folder} cannot be read ({textwrap.shorten(str(error), 300)}); copy or "
                         "download its files again") from error


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer made here under the class name that transformers 4 knows it by."""
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings.pop("backend", None)
    file.write_text(json.dumps(settings, indent=2) + "\n")


def hidden_states(model: PreTrainedModel, input_ids: Tensor, position_ids: Tensor,
                  attention: AttentionContext) -> Tensor:
    """Run the decoder layers: (B, N) ids and positions to (B, N, H) states after the final norm."""
    inner = model.get_decoder()
    return inner(input_ids=input_ids, position_ids=position_ids, use_cache=False,
                 attention_context=attention).last_hidden_state


class RouterRecorder:
    """While the context lasts, keeps what the routers of a mixture of experts say.

    ``logits`` holds per sparse layer and pass (B * N, E) router logits before the softmax, for E experts; it stays empty
    for a dense model.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Record the routers of ``model``."""
        self._routers = [module for name, module in model.named_modules() if name.endswith(".mlp.gate")]
        self._hooks: list[Any] = []
        self.logits: list[Tensor] = []

    def __enter__(self) -> "RouterRecorder":
        self._hooks = [router.register_forward_hook(self._keep) for router in self._routers]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, module: nn.Module, given: object, result: tuple[Tensor, ...]) -> None:
        self.logits.append(result[0].detach())


def silence_loading_bars() -> None:
    """Keep transformers' own bars for reading and writing weights off the terminal."""
    logging.disable_progress_bar()
