"""Verdicts on answers that need no mathematics, and cannot be wrong."""

import re

_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")


def decide_plainly(gold: str, answer: str, max_length: int) -> bool | None:
    """Whether the answer equals the gold one, where that shows at once; ``None`` if it takes mathematics.

    An empty answer is wrong; identical texts (up to white space) are equal; two plain decimal numbers are equal exactly
    if their values are; other texts longer than ``max_length`` are not equal. Linear in the length of the texts.

    Example:
        >>> decide_plainly("07.50", "7.5", 100), decide_plainly("7", "8", 100), decide_plainly("1/2", "0.5", 100)
        (True, False, None)
    """
    first, second = " ".join(gold.split()), " ".join(answer.split())
    if not second:
        return False
    if first == second:
        return True
    numbers = _decimal(first), _decimal(second)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return False if max(len(first), len(second)) > max_length else None


def _decimal(text: str) -> tuple[str, str, str] | None:
    """Sign, digits before and digits behind the point, without idle zeros; ``None`` if the text is no plain decimal."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    whole, part = match[2].lstrip("0"), (match[3] or "").rstrip("0")
    sign = "-" if match[1] == "-" and (whole or part) else ""
    return sign, whole, part
