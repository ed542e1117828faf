"""Whether two answers are the same, by either route."""

import functools
import os

from dllm_rl.registry import nearest
from dllm_rl.rewards.math_verifier import MathVerifier
from dllm_rl.rewards.string_equality import string_equal


def default_verifier() -> MathVerifier:
    """The verifier that this process shares; its workers start when first needed and end with the process."""
    return _verifier_of(os.getpid())


@functools.cache
def _verifier_of(process_id: int) -> MathVerifier:
    """One per process id, because a forked process must not talk to its parent's workers."""
    return MathVerifier()


def _verified_equal(gold: str, answer: str) -> bool:
    return default_verifier().verify_pairs([(gold, answer)])[0]


_ROUTES = {"verify": _verified_equal, "string": string_equal}


def math_equal(gold: str, answer: str, route: str = "verify") -> bool:
    r"""Whether an answer equals the gold one; an empty answer equals nothing.

    Args:
        gold: the right answer, LaTeX or plain, without ``\boxed``.
        answer: the answer to judge, likewise.
        route: ``"verify"`` compares as mathematics (math-verify, in worker processes with limits), ``"string"`` as
            upstream's published numbers do. The routes disagree where ``docs/math_equality.md`` says.

    Raises:
        ValueError: an unknown route.

    Example:
        >>> math_equal("\\frac{1}{2}", "\\frac{2}{4}", route="string")
        False
    """
    if route not in _ROUTES:
        raise ValueError(f"unknown route {route!r}{nearest(route, list(_ROUTES))}; known: {', '.join(_ROUTES)}")
    return bool(answer.strip()) and _ROUTES[route](gold, answer)
