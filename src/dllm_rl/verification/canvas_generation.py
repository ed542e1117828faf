"""Checks of the ``generation`` section for full-attention models: tokens, step ids and forward counts, exactly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import Request
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.verification.check import Check, exact
from dllm_rl.verification.reference import Entry

Settings = dict[str, Any]


def _common(params: Mapping[str, Any]) -> Settings:
    """What the originals call the same: lengths, blocks, steps, filters, with absent and null keys left out."""
    names = {"gen_length": "max_gen_length", "max_new_tokens": "max_gen_length", "block_length": "block_size",
             "steps": "steps", "temperature": "temperature", "top_p": "top_p", "top_k": "top_k",
             "further_horizon": "further_horizon", "pad_target_penalty": "pad_target_penalty", "cfg_scale": "cfg_scale",
             "eps": "sampling_eps"}
    return {ours: params[theirs] for theirs, ours in names.items() if params.get(theirs) is not None}


def _threshold(value: float | None) -> Settings:
    if value is None:
        return {"remasking_strategy": "low_confidence_static"}
    return {"remasking_strategy": "low_confidence_dynamic", "dynamic_threshold": value}


def _dream(params: Mapping[str, Any]) -> Settings:
    scores = {"maskgit_plus": "confidence", "topk_margin": "margin_confidence", "entropy": "neg_entropy"}
    return {"decoder": "dream", "score": scores[params["alg"]], **_threshold(None)}


def _rl(decoder: str) -> Callable[[Mapping[str, Any]], Settings]:
    def settings(params: Mapping[str, Any]) -> Settings:
        score = "entropy" if (decoder, params["target"]) == ("llada_rl", "neg_entropy") else params["target"]
        return {"decoder": decoder, "cache": "prefix" if params["use_cache"] else "none", "score": score,
                **_threshold(params["unmask_threshold"])}
    return settings


def _dream_fast(params: Mapping[str, Any]) -> Settings:
    by_entropy = params["alg"] == "entropy"
    return {"decoder": "dream_fast", "cache": "dual" if params["dual_cache"] else "prefix",
            **(_threshold(None) | {"score": "neg_entropy"} if by_entropy else _threshold(params["threshold"]))}


def _dream_parallel(params: Mapping[str, Any]) -> Settings:
    return {"decoder": "dream_parallel", "remasking_strategy": "carried_threshold",
            "dynamic_threshold": params["threshold"]}


def _llada(params: Mapping[str, Any]) -> Settings:
    return {"decoder": "llada", **_threshold(None)}


def _llada_fast(cache: str) -> Callable[[Mapping[str, Any]], Settings]:
    def settings(params: Mapping[str, Any]) -> Settings:
        factor = params["factor"]
        by_factor = {"remasking_strategy": "threshold_factor", "threshold_factor": factor}
        return {"decoder": "llada_fast", "cache": cache,
                **(_threshold(params["threshold"]) if factor is None else by_factor)}
    return settings


@dataclass(frozen=True)
class Engine:
    """How an entry of one engine is decoded and compared: settings from its parameters, and its count of forwards."""

    settings: Callable[[Mapping[str, Any]], Settings]
    forwards: str | None = None


ENGINES = {
    "diffusion_generate": Engine(_dream),
    "dLLM-RL block sampler": Engine(_rl("dream_rl")),
    "Fast-dLLM block cache": Engine(_dream_fast, "forwards"),
    "Fast-dLLM parallel, no cache": Engine(_dream_parallel, "forwards"),
    "LLaDA generate": Engine(_llada, "forwards"),
    "dLLM-RL generate_with_prefix_cache": Engine(_rl("llada_rl"), "native_nfe"),
    "Fast-dLLM generate": Engine(_llada_fast("none"), "native_nfe"),
    "Fast-dLLM generate_with_prefix_cache": Engine(_llada_fast("prefix"), "native_nfe"),
    "Fast-dLLM generate_with_dual_cache": Engine(_llada_fast("dual"), "native_nfe"),
}


def check_canvas_generation(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Ids, step ids and forwards of one entry; its rows are decoded together."""
    engine, params = ENGINES[entry.fields["engine"]], entry.fields["params"]
    config = DecodingConfig(**_common(params), **engine.settings(params))
    prompts, mask = entry.array("prompt_ids"), entry.optional_array("attention_mask")
    num_prompt = prompts.shape[1]
    real = torch.ones_like(prompts) if mask is None else mask[:, :num_prompt]
    requests = [Request(row[where.bool()].tolist(), config.max_gen_length, greedy=True)
                for row, where in zip(prompts, real, strict=True)]
    pad = params.get("pad_token_id", lm.pad_token_id)
    rollouts = load_decoder(_with_pad(lm, pad), config).decode(requests)
    ids = torch.cat([prompts, torch.tensor([own.response_ids + own.tail_ids for own in rollouts])], 1)
    checks = [exact("sequences", ids, entry.array("sequences")), _steps(entry, rollouts, num_prompt)]
    if engine.forwards is not None:
        largest = max(own.num_forwards for own in rollouts)
        checks.append(exact("forwards", torch.tensor(largest), torch.tensor(entry.fields[engine.forwards])))
    return checks


def _with_pad(lm: LanguageModel, pad: int | None) -> LanguageModel:
    """The model with the entry's own pad token."""
    return LanguageModel(lm.family, lm.backbone, lm.tokenizer, lm.mask_token_id, pad, lm.eos_token_id, lm.block_size,
                         lm.published, lm.source)


def _steps(entry: Entry, rollouts: list[Rollout], num_prompt: int) -> Check:
    """0-based step ids; the prompt has -1, or 0 in the RL samplers' own map."""
    name, prompt = ("step_map", -1) if entry.fields.get("step_map") else ("native_step_map", 0)
    ours: Tensor = torch.tensor([own.step_map + own.tail_steps for own in rollouts]) - 1
    return exact(name, torch.cat([torch.full((len(rollouts), num_prompt), prompt), ours], 1), entry.array(name))
