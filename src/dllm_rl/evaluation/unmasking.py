"""An answer while it is being unmasked, as styled text. Nothing here needs a terminal."""

from collections.abc import Collection, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text
from transformers import PreTrainedTokenizerBase

MASKED, NEW, OLD = "dim", "bold green", ""
"""Styles of a masked token, of what the latest forward revealed, and of the rest."""

BLOCK = "█"
"""One masked token."""

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def readable(text: str) -> str:
    """Text without control characters, which a model may make and a terminal would obey."""
    return text.translate(_CONTROLS)


def until_stop(ids: Sequence[int], stop_ids: Collection[int]) -> list[int]:
    """The ids before the first stop token: what is behind it will not be in the answer."""
    end = next((place for place, token in enumerate(ids) if token in stop_ids), len(ids))
    return list(ids[:end])


def frame(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], before: Sequence[int], mask_token_id: int) -> Text:
    """One picture of an answer.

    Neighbours of one style are decoded together. A character whose bytes are not all there, or are split between old
    and new, shows as replacement characters until they are.

    Args:
        tokenizer: of the model.
        ids: n token ids, the mask id where one is masked.
        before: the ids as of the last picture; fewer, if the answer has grown since.
        mask_token_id: that id.

    Returns:
        a dim block per masked token; tokens that ``before`` does not have are highlighted.

    Example (ids 18 and 20 are "3" and "5"; 259 is the mask):
        >>> from dllm_rl.families.byte_tokenizer import byte_tokenizer
        >>> frame(byte_tokenizer(), [18, 259, 20], [18, 259, 259], 259).markup
        '3[dim]█[/dim][bold green]5[/bold green]'
    """
    known = [*before, *[mask_token_id] * (len(ids) - len(before))]
    styles = [MASKED if token == mask_token_id else OLD if token == old else NEW
              for token, old in zip(ids, known, strict=False)]
    picture = Text()
    for style, run in groupby(zip(styles, ids, strict=True), key=lambda pair: pair[0]):
        tokens = [token for _, token in run]
        text = BLOCK * len(tokens) if style == MASKED else str(tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        picture.append(readable(text), style)
    return picture


def excerpt(picture: Text, console: Console, height: int) -> Text:
    """The lines of a picture that a window has room for: around the first mask, or else the last ones.

    Args:
        picture: of any length.
        console: whose width counts.
        height: lines of the window, 1 or more.
    """
    lines = picture.wrap(console, console.width)
    focus = next((number for number, line in enumerate(lines) if BLOCK in line.plain), len(lines))
    first = max(0, min(focus - height // 2, len(lines) - height))
    return Text("\n").join(lines[first:first + height])
