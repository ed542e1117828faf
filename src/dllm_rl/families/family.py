"""What distinguishes one line of checkpoints from another, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Family:
    """One family of checkpoints over a stock transformers backbone.

    Attributes:
        name: registry name.
        model_types: values of ``model_type`` in a published ``config.json``.
        backbone: ``model_type`` of the stock transformers model whose weights these are.
        attention: ``"block"`` (block-causal, cached exactly) or ``"full"``.
        logit_shift: 1 where the logits at i - 1 predict token i, else 0.
        mask_token: text of the mask token in the tokenizer.
        special_ids: published ids of ``mask``, ``pad`` and ``eos``, for checkpoints that state none.
        stop_tokens: texts of turn-end tokens that stop a response beside eos.
        prompts: prompt formats by kind of task, with the marker ``{problem}``.
        published_config: ``config.json`` keys of a checkpoint made by us that the backbone's own config lacks.
        required: ``config.json`` keys that the backbone computes for these values only; a checkpoint with another value
            is refused. A key that a checkpoint lacks has one of them.
        config_names: published ``config.json`` key to that of the backbone's config, for settings that are called
            otherwise; if there are any, the backbone takes no other key.
        weight_names: patterns (regular expressions) of published weight names to the backbone's, in order.
        example: hub id of a published checkpoint, whose modelling files read our exports.
        auto_class: transformers' class that reads it with them.
        engines: serving engines that know the family, as ``families/model_card.py`` calls them.
    """

    name: str
    model_types: tuple[str, ...]
    backbone: str
    attention: Literal["block", "full"]
    logit_shift: int
    mask_token: str
    special_ids: Mapping[str, int]
    stop_tokens: tuple[str, ...]
    prompts: Mapping[str, str]
    published_config: Mapping[str, object]
    required: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    config_names: Mapping[str, str] = field(default_factory=dict)
    weight_names: Mapping[str, str] = field(default_factory=dict)
    example: str | None = None
    auto_class: str = "AutoModelForCausalLM"
    engines: tuple[str, ...] = ()
