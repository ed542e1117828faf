"""Checks of the ``generation`` section for block models: tokens, step ids and forward counts, exactly."""

from collections.abc import Callable

import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import BlockDecoder, Request
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.verification.canvas_generation import ENGINES as CANVAS_ENGINES
from dllm_rl.verification.canvas_generation import check_canvas_generation
from dllm_rl.verification.check import Check, exact
from dllm_rl.verification.reference import Entry

NAMES = {
    "block_length": "block_size", "denoising_steps": "denoising_steps_per_block", "temperature": "temperature",
    "top_k": "top_k", "topk": "top_k", "top_p": "top_p", "topp": "top_p", "remasking_strategy": "remasking_strategy",
    "confidence_threshold": "dynamic_threshold", "dynamic_threshold": "dynamic_threshold",
    "eb_threshold": "eb_threshold",
}
"""The originals' parameter names and ours."""


def _decode(entry: Entry, lm: LanguageModel, max_new: int, stop_ids: frozenset[int]) -> Rollout:
    """Decode the entry's one prompt with argmax draws under its own temperature and filters."""
    params = entry.fields["params"]
    config = DecodingConfig(**{ours: params[theirs] for theirs, ours in NAMES.items() if theirs in params})
    [prompt] = entry.array("prompt_ids").tolist()
    [rollout] = BlockDecoder(lm, config).decode([Request(prompt, max_new, stop_ids, greedy=True)])
    return rollout


def _forwards(entry: Entry, rollout: Rollout) -> Check:
    return exact("denoise_forwards", torch.tensor(rollout.num_forwards), torch.tensor(entry.fields["denoise_forwards"]))


def _block_diffusion_generate(entry: Entry, lm: LanguageModel) -> list[Check]:
    """G1 decodes whole blocks and stops only at its own ids; positions never reached stay masks, step -1."""
    params, sequences = entry.fields["params"], entry.array("sequences")
    num_prompt, total = entry.array("prompt_ids").shape[1], sequences.shape[1]
    rollout = _decode(entry, lm, total - num_prompt, frozenset(params["stopping_criteria_idx"] or ()))
    decoded = rollout.response_ids + rollout.tail_ids
    steps = [step - 1 for step in rollout.step_map + rollout.tail_steps]
    rest = total - num_prompt - len(decoded)
    ids = torch.tensor([rollout.prompt_ids + decoded + [lm.mask_token_id] * rest])
    step_map = torch.tensor([[-1] * num_prompt + steps + [-1] * rest])
    return [exact("sequences", ids, sequences), exact("step_map", step_map, entry.array("step_map")),
            _forwards(entry, rollout)]


def _jetengine_scheduler(entry: Entry, lm: LanguageModel) -> list[Check]:
    """G2 commits tokens up to the first stop id or the length limit."""
    params = entry.fields["params"]
    stops = frozenset([params["eos_token_id"], *params.get("stop_words", [])])
    rollout = _decode(entry, lm, params["max_tokens"], frozenset() if params["ignore_eos"] else stops)
    return [exact("completion", torch.tensor([rollout.response_ids]), entry.array("completion")),
            exact("first_unmask_steps", torch.tensor([rollout.step_map]), entry.array("first_unmask_steps")),
            _forwards(entry, rollout)]


ENGINES: dict[str, Callable[[Entry, LanguageModel], list[Check]]] = {
    "block_diffusion_generate": _block_diffusion_generate,
    "jetengine_scheduler": _jetengine_scheduler,
}


def check_generation(entry: Entry, lm: LanguageModel) -> list[Check]:
    """Ids, step ids and forwards of one entry.

    Raises:
        ValueError: an engine or a draw this version does not know.
    """
    engine, drawn = entry.fields["engine"], entry.fields.get("draw", "argmax")
    if engine in CANVAS_ENGINES and drawn == "argmax":
        return check_canvas_generation(entry, lm)
    if engine not in ENGINES or drawn != "argmax":
        raise ValueError(f"{entry.section}/{entry.name}: unknown engine {engine!r} or draw {drawn!r}")
    return ENGINES[engine](entry, lm)
