"""The task record."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """One problem: what is asked, and what a reward needs to judge an answer.

    Attributes:
        id: unique within its task set and stable between runs; seeds derive from it.
        question: the problem text, without any prompt format.
        answer: the gold answer as text, if the kind has one.
        kind: ``"math"``, ``"choice"`` or ``"code"``; picks the prompt text and how the answer is found.
        meta: further fields of the data set (level, subject, ...), carried along untouched.

    Example:
        >>> Task(id="gsm8k/0", question="What is 2 + 3?", answer="5").kind
        'math'
    """

    id: str
    question: str
    answer: str | None = None
    kind: str = "math"
    meta: dict[str, Any] = field(default_factory=dict)
