"""Presets: sets of ordinary options under one name, which stand below what the user writes.

A preset says, for some options models, the values that their sections take wherever they occur in a configuration. It
is expanded before the configuration is checked, so no other code knows of presets.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dllm_rl.config.base import split_names
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.fields import as_choice, choice_of, merge, section_of
from dllm_rl.config.options import RandomViewOptions, TraceViewOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.registry import PRESETS

Preset = Mapping[type[BaseModel], Mapping[str, Any]]
"""Options models, and the values of theirs that a preset sets; it holds for models derived from them too."""

_RESPONSE_GRID = {"grid": "response", "post_num": 0}

UPSTREAM: Preset = {
    RlConfig: {"reduction": {"divisor": "padded_length"}, "rollout": {"truncated": "wrong", "truncated_margin": 5}},
    SftConfig: {"views": "semi_ar", "reduction": {"divisor": "padded_length"}},
    TraceViewOptions: _RESPONSE_GRID,
    RandomViewOptions: {**_RESPONSE_GRID, "level": "token"},
}
"""What the original computes where we do something else by default (SPEC 13). Native ``block`` views stay as they are."""

UPSTREAM_FULL: Preset = {
    RlConfig: {"reduction": {"divisor": "targets"}, "kl_reduction": {"divisor": "views"}},
    SftConfig: {"reduction": {"divisor": "targets"}},
    RandomViewOptions: {"level": "block"},
}
"""What the original computes for full-attention models where that differs (SPEC 3.3, 4.1); lies on ``upstream``."""

_SDAR = {"temperature": 1.0, "top_p": 1.0, "block_size": 4, "denoising_steps_per_block": 4, "max_gen_length": 2000}

SDAR_STATIC: Preset = {DecodingConfig: {**_SDAR, "remasking_strategy": "low_confidence_static", "top_k": 1}}
"""Published static decoding of SDAR and TraDo (SPEC 7)."""

SDAR_DYNAMIC: Preset = {DecodingConfig: {
    **_SDAR, "remasking_strategy": "low_confidence_dynamic", "top_k": 0, "dynamic_threshold": 0.9}}
"""Published dynamic decoding of SDAR and TraDo (SPEC 7)."""

_Z_CLIP = {"advantage": {"name": "group_z"}, "policy_loss": {"name": "token_clip"}}

TRACERL: Preset = {RlConfig: {"views": {"name": "trace"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""TraceRL (arXiv 2509.06949; SPEC 2, 3)."""

RANDOM_MASKING: Preset = {RlConfig: {"views": {"name": "random"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""Random-mask RL as dLLM-RL compares with (SPEC 4.1, 4.2)."""

COUPLED: Preset = {RlConfig: {"views": {"name": "coupled"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""Random masks and their complements as dLLM-RL has them (SPEC 4.1, 4.2)."""


def preset_names(values: Mapping[str, Any]) -> list[str]:
    """What ``compat`` and ``preset`` name, the last on top; values of a wrong type are left to the check of types."""
    listed = split_names(values.get("preset"))
    given = [values.get("compat"), *(listed if isinstance(listed, list) else [])]
    return [name for name in given if isinstance(name, str)]


def with_presets(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration above those of the presets that they name."""
    expanded = dict(values)
    for name in reversed(preset_names(values)):
        if name in PRESETS:
            expanded = _above(model, expanded, PRESETS.load(name))
    return expanded


def _above(model: type[BaseModel], values: Mapping[str, Any], preset: Preset) -> dict[str, Any]:
    """``values`` of a section over what the preset has for it and for the sections and choices in it."""
    found = dict(values)
    for owner, options in preset.items():
        if issubclass(model, owner):
            found = merge(options, found)
    for name, field in model.model_fields.items():
        section = section_of(field)
        given = found.get(name, {} if choice_of(field) else field.default)
        if section is not None and isinstance(given, Mapping | BaseModel):
            inner = _above(section, given if isinstance(given, Mapping) else {}, preset)
        else:
            inner = _choice_above(field, given, preset)
        if inner:
            found[name] = inner
    return found


def _choice_above(field: FieldInfo, given: object, preset: Preset) -> dict[str, Any]:
    """A choice with its entry's options over the preset's; empty where the preset has nothing to add."""
    known = choice_of(field)
    if known is None or not isinstance(given, str | Mapping):
        return {}
    options = as_choice(field, given)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in known:
        return {}
    expanded = _above(known.options(name), options, preset)
    return {"name": name, **expanded} if expanded != options else {}
