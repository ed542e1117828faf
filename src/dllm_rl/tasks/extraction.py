"""Finding the answer in the text of a response."""

import re
from collections.abc import Sequence

_BOX = "\\boxed{"
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{...}`` (SPEC 1.2); ``None`` if there is none or its brace is never closed.

    Braces are matched as TeX does: ``\{`` and ``\}`` are characters, not braces. Linear in the length of the text.

    Example:
        >>> last_boxed(r"first \boxed{1}, then \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
    """
    start = text.rfind(_BOX)
    if start < 0:
        return None
    start += len(_BOX)
    depth = 1
    for match in _BRACE.finditer(text, start):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0:
            return text[start:match.start()]
    return None


def response_text(text: str, end_tokens: Sequence[str]) -> str | None:
    """The whole response as the answer: what stands before the first end token, without white space around it.

    Args:
        text: the decoded response, special tokens kept.
        end_tokens: texts of the tokens that end a turn; what follows one is not part of the answer.

    Returns:
        the answer, or ``None`` if nothing is left.

    Example:
        >>> response_text(" 46<|im_end|><|endoftext|>", ["<|endoftext|>", "<|im_end|>"])
        '46'
    """
    for token in end_tokens:
        text = text.partition(token)[0]
    return text.strip() or None
