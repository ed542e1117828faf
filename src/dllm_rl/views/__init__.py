"""Views: the partly masked looks at a sample or rollout that training predicts tokens in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dllm_rl.config.base import read_options
from dllm_rl.config.choice import Choice
from dllm_rl.records import Rollout, Sample, View, ViewContext
from dllm_rl.registry import VIEWS
from dllm_rl.views.masks import view_of_mask

__all__ = ["build_views", "view_of_mask", "views_in"]


def build_views(name: str, samples: Sequence[Sample | Rollout], *, seed: int = 0,
                block_size: int | Literal["full"] | None = None, pad_token_id: int | None = None,
                folder: Path | None = None,
                **options: Any) -> list[list[View]]:  # noqa: ANN401 - the entry's own options, checked by its model
    """Views of every sample.

    Args:
        name: an entry of ``VIEWS``, or the import path of a function ``(sample, options, context) -> list[View]``,
            which gets the options as a dictionary.
        samples: rollouts or samples, a flat list.
        seed: of the random masks. A sample's views depend on it and on the sample alone.
        block_size: of the training blocks; if not given, each rollout's own; ``"full"`` for full-attention models.
        pad_token_id: what counts as a pad for ``post_num``.
        folder: what a relative file path in ``name`` starts from.
        options: options of the entry.

    Returns:
        one list of views per sample, in order; a sample of which nothing is predicted has an empty one.

    Raises:
        ValueError: an unknown name or option, a value out of range, no block size, or ``post_num`` without a pad.

    Example (two rounds, because 10 was revealed before 11):
        >>> [own] = build_views("trace", [Sample([1, 2], [10, 11], [1, 2])], block_size=2)
        >>> [view.target.nonzero()[:, 0].tolist() for view in own]
        [[2], [3]]
    """
    context = ViewContext(block_size=block_size, seed=seed, pad_token_id=pad_token_id)
    return views_in(context, Choice(name, options), samples, folder)


def views_in(context: ViewContext, choice: Choice, samples: Sequence[Sample | Rollout],
             folder: Path | None = None) -> list[list[View]]:
    """As ``build_views``, in a given context, which may be a later pass over the same samples."""
    build = VIEWS.load(choice.name, folder)
    model, options = VIEWS.options(choice.name), choice.option_values()
    parsed = options if model is None else read_options(model, options, f"view {choice.name!r}")
    return [build(sample, parsed, context) for sample in samples]
