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
from dllm_rl.config.fields import as_choice, choice_of, merge, section_of, spelled_out
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

_Z_CLIP: Mapping[str, Any] = {"advantage": {"name": "group_z"}, "policy_loss": {"name": "token_clip"}}
_EACH_PASS: Mapping[str, Any] = {"redraw_views": True, "kl": {"name": "k3"}}

TRACERL: Preset = {RlConfig: {"views": {"name": "trace"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""TraceRL (arXiv 2509.06949; SPEC 2, 3)."""

RANDOM_MASKING: Preset = {RlConfig: {"views": {"name": "random"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""Random-mask RL as dLLM-RL compares with (SPEC 4.1, 4.2)."""

COUPLED: Preset = {RlConfig: {"views": {"name": "coupled"}, **_Z_CLIP, "kl": {"name": "k3"}}}
"""Random masks and their complements as dLLM-RL has them (SPEC 4.1, 4.2)."""

UNIGRPO: Preset = {RlConfig: {
    "views": {"name": "scheduled"}, **_Z_CLIP, **_EACH_PASS, "importance_level": "sequence", "num_train_epochs": 5,
    "reduction": {"divisor": "views"}}}
"""UniGRPO of MMaDA (arXiv 2505.15809; SPEC 4.3): one mask per pass, its ratio rising to 1; ratios of mean log-probs."""

COUPLED_GRPO: Preset = {RlConfig: {
    "views": {"name": "three_pass"}, "advantage": {"name": "leave_one_out"}, **_EACH_PASS,
    "policy_loss": {"name": "token_clip", "eps": 0.5}, "importance_level": "token", "beta": 0.01, "num_train_epochs": 2,
    "reduction": {"divisor": "answer_tokens"}}}
"""coupled-GRPO of DiffuCoder (arXiv 2506.20639; SPEC 4.3)."""

DIFFU_GRPO: Preset = {RlConfig: {
    "views": {"name": "mean_field", "p_mask_prompt": 0.15}, "advantage": {"name": "group_z", "divide_by_std": False},
    **_EACH_PASS, "policy_loss": {"name": "token_clip", "eps": 0.2}, "beta": 0.04, "num_train_epochs": 12,
    "reduction": {"divisor": "tokens"}}}
"""diffu-GRPO of d1 (arXiv 2504.12216; SPEC 4.3)."""

DIPO: Preset = {RlConfig: {
    "views": {"name": "trace"}, "advantage": {"name": "group_z"}, "beta": 0.0, "updates_per_step": 1,
    "num_train_epochs": 1, "policy_loss": {"name": "token_clip", "eps": 0.2, "eps_high": 0.28},
    "reduction": {"divisor": "tokens"}}}
"""DiPO of DiRL (arXiv 2512.22234; METHODS 3.17): TraceRL whose one update is on policy."""


def preset_names(values: Mapping[str, Any]) -> list[str]:
    """What ``compat`` and ``preset`` name, the last on top; values of a wrong type are left to the check of types."""
    listed = split_names(values.get("preset"))
    given = [values.get("compat"), *(listed if isinstance(listed, list) else [])]
    return [name for name in given if isinstance(name, str)]


def with_presets(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration above those of the presets that they name.

    What is chosen is known only when all presets are read, and each may have options of it; so the names come first.
    """
    presets = [PRESETS.load(name) for name in preset_names(values) if name in PRESETS]
    if not presets:
        return dict(values)
    expanded = dict(values)
    for preset in reversed(presets):
        expanded = _above(model, expanded, preset)
    names = _names(model, expanded)
    joined: dict[str, Any] = {}
    for preset in presets:
        joined = merge(joined, _above(model, names, preset))
    return merge(joined, spelled_out(model, values))


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


def _names(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of some values the names of choices alone."""
    found: dict[str, Any] = {}
    for name, given in values.items():
        field = model.model_fields.get(name)
        section = section_of(field) if field else None
        if section is not None and isinstance(given, Mapping):
            found[name] = _names(section, given)
        elif field is not None and choice_of(field) is not None and isinstance(given, str | Mapping):
            found[name] = {key: own for key, own in as_choice(field, given).items() if key == "name"}
    return found


def _choice_above(field: FieldInfo, given: object, preset: Preset) -> dict[str, Any]:
    """A choice with its entry's options over the preset's; empty where the preset has nothing to add.

    A name that is not written stays so, since a preset below may have another one.
    """
    known = choice_of(field)
    if known is None or not isinstance(given, str | Mapping):
        return {}
    options = as_choice(field, given)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in known:
        return {}
    expanded = _above(known.options(name), options, preset)
    written = {} if isinstance(given, Mapping) and "name" not in given else {"name": name}
    return {**written, **expanded} if expanded != options else {}
