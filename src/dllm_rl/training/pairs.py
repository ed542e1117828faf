"""Choices that do not go together, found from configuration and family before any weight is read.

What one option says of another is checked by ``config/``; here is what needs the model's family or a strategy's class.
"""

from collections.abc import Iterable, Sequence

from dllm_rl.config.choice import Choice
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.options import MaskViewOptions, TraceActionViewOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding.block_decoder import load_strategy
from dllm_rl.decoding.replay import losing_strategy
from dllm_rl.families import Family

REPLAY_CLASSES = {
    "selection": "tokens drawn from each step's own softmax",
    "history": "their distributions depended on stale or fused states",
    "edit": "tokens were changed after they had been revealed",
}
"""What a record of each class says about a rollout."""


def refuse_views(views: Choice, family: Family) -> None:
    """Raise ``ValueError`` if views make no sense for the attention of a family; the user's own are not judged."""
    reason = views.options.unsuited(family.attention) if isinstance(views.options, MaskViewOptions) else None
    if reason is not None:
        raise ValueError(f"views {views.name!r} do not suit family {family.name!r} with its {family.attention} attention: "
                         f"{reason}")


def refuse_replay_classes(found: Iterable[str], allowed: Sequence[str]) -> None:
    """Raise ``ValueError`` if records of a class cannot be trained on, because their log-probs cannot be recomputed."""
    for name in sorted(set(found) - set(allowed)):
        raise ValueError(
            f"rollouts are of replay class {name!r} ({REPLAY_CLASSES[name]}), which training cannot recompute; decode "
            "rollouts exactly (rollout.decoding.cache=none, cfg_scale=0, another strategy), or accept the mismatch with "
            f"rollout.replay_classes=[{','.join([*allowed, name])}]")


def replay_class_of(decoding: DecodingConfig) -> str:
    """The replay class that the built-in decoders note for these settings; a user's own loop may note another."""
    exact = decoding.cache in (None, "none") and not decoding.cfg_scale
    return load_strategy(decoding).replay_class if exact else "history"


def refuse_action_views(config: RlConfig) -> None:
    """Raise ``ValueError`` if ``trace_action`` is asked of a sampler whose losing candidates have no likelihood."""
    if isinstance(config.views.options, TraceActionViewOptions):
        losing_strategy(config.rollout.decoding)


def refuse_rl_pairs(config: RlConfig, family: Family) -> None:
    """Raise ``ValueError`` for views that do not suit family or sampler, and for rollouts that cannot be trained on."""
    refuse_views(config.views, family)
    refuse_action_views(config)
    refuse_replay_classes([replay_class_of(config.rollout.decoding)], config.rollout.replay_classes)
