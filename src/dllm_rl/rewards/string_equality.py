r"""Answer equality by normalised text: the rule of the MATH authors, which upstream's published numbers rest on.

The rule knows a few habits of writing and no mathematics: ``\frac12`` equals ``0.5``, ``\frac{2}{4}`` does not.
"""

import math
import re
from collections.abc import Callable

_SPELLINGS = [(old, new) for new, olds in {
    "": ["\n", "\\!"],
    "\\": ["\\\\"],
    "\\frac": ["\\tfrac", "\\dfrac"],
}.items() for old in olds]
_DROPPED = ["\\left", "\\right", "^{\\circ}", "^\\circ", "\\$"]
_UNIT = "\\text{ "
_MAX_NUMBER_LENGTH = 400
"""Longer texts are compared as texts: no float has so many digits before the point."""


class _CannotNormaliseError(ValueError):
    """The rule has no result for this text."""


def string_equal(gold: str, answer: str) -> bool:
    r"""Upstream's effective rule (SPEC 6.2): equal normalised texts, or texts that are the same number.

    Thousands separators and percent signs are ignored in numbers.

    Example:
        >>> string_equal("1000", "1,000"), string_equal("\\sqrt{8}", "2\\sqrt{2}")
        (True, False)
    """
    pair = _normalised_pair(gold, answer)
    numbers = [_as_number(text) for text in pair]
    return pair[0] == pair[1] or (numbers[0] is not None and numbers[0] == numbers[1])


def normalised_equal(gold: str, answer: str) -> bool:
    """The MATH authors' rule alone: equal normalised texts; unchanged texts if one of them has no normal form."""
    first, second = _normalised_pair(gold, answer)
    return first == second


def normalise(text: str) -> str:
    r"""The normal form of an answer, after ``_strip_string`` of the MATH authors' evaluation code.

    One deliberate difference: where both sides of a lone slash are not integers, the text stays as it is; there the
    original fails, and the pair is compared unchanged.

    Raises:
        ValueError: more than one unit in ``\text{ }``, or a ``\sqrt`` or ``\frac`` at the very end.

    Example:
        >>> normalise("x = \\dfrac34 \\text{ cm}")
        '\\frac{3}{4}'
    """
    for step in _STEPS:
        text = step(text)
        if not text:
            return text
    return text


def _normalised_pair(gold: str, answer: str) -> tuple[str, str]:
    try:
        return normalise(gold), normalise(answer)
    except _CannotNormaliseError:
        return gold, answer


def _as_number(text: str) -> float | None:
    plain = text.replace(",", "").replace("%", "").strip()
    if len(plain) > _MAX_NUMBER_LENGTH or "_" in plain:
        return None
    try:
        number = float(plain)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unify_spelling(text: str) -> str:
    for old, new in _SPELLINGS:
        text = text.replace(old, new)
    for mark in _DROPPED:
        text = text.replace(mark, "")
    return text


def _drop_unit(text: str) -> str:
    number, *units = text.split(_UNIT)
    if len(units) > 1:
        raise _CannotNormaliseError(f"{len(units)} units in {text[:80]!r}")
    return number


def _drop_percent(text: str) -> str:
    return text.replace("\\%", "")


def _lead_with_zero(text: str) -> str:
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    return "0" + text if text.startswith(".") else text


def _drop_short_left_side(text: str) -> str:
    """``x = 5`` becomes the right side, if the left one is at most two characters long."""
    left, *right = text.split("=")
    return right[0] if len(right) == 1 and len(left) <= 2 else text


def _brace_roots(text: str) -> str:
    first, *rest = text.split("\\sqrt")
    if not all(rest):
        raise _CannotNormaliseError("a root of nothing")
    return first + "".join("\\sqrt" + (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}") for part in rest)


def _drop_spaces(text: str) -> str:
    return text.replace(" ", "")


def _brace_fractions(text: str) -> str:
    r"""``\frac12``, ``\frac1{72}`` get both pairs of braces; one with fewer than two characters stops the step."""
    first, *rest = text.split("\\frac")
    if not all(rest):
        raise _CannotNormaliseError("a fraction of nothing")
    if any(len(part) < 2 and part[0] != "{" for part in rest):
        return text
    return first + "".join("\\frac" + _braced_fraction(part) for part in rest)


def _braced_fraction(part: str) -> str:
    if part[0] == "{":
        return part
    over = part[1:] if part[1] == "{" else f"{{{part[1]}}}{part[2:]}"
    return f"{{{part[0]}}}{over}"


def _half(text: str) -> str:
    return "\\frac{1}{2}" if text == "0.5" else text


def _slash_to_fraction(text: str) -> str:
    match = re.fullmatch(r"(0|-?[1-9][0-9]*)/(0|-?[1-9][0-9]*)", text)
    return f"\\frac{{{match[1]}}}{{{match[2]}}}" if match else text


_STEPS: list[Callable[[str], str]] = [
    _unify_spelling, _drop_unit, _drop_percent, _lead_with_zero, _drop_short_left_side, _brace_roots, _drop_spaces,
    _brace_fractions, _half, _slash_to_fraction,
]
