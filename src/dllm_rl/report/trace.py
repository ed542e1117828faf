"""The played trace: the tokens of an answer appear in the order in which the model revealed them.

What a model wrote is untrusted. It enters the page as JSON without ``<``, ``>`` and ``&``, which the script of
``trace.html`` shows as text only, and as escaped text in the tables for readers without JavaScript.
"""

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from dllm_rl.report.run_data import Trace

CONTROL_PICTURES = {code: 0x2400 + code for code in range(32)}
VISIBLE = CONTROL_PICTURES | {ord(" "): "·", ord("\n"): "↵"}
NO_TEXT = "∅"
MAX_QUESTION_ON_BUTTON = 32


def visible(piece: str) -> str:
    """A token's text with its blanks and control characters made visible."""
    return piece.translate(VISIBLE) or NO_TEXT


def script_json(value: object) -> str:
    """JSON that can stand inside a ``<script>`` element: no text in it can end the element or begin another."""
    return json.dumps(value).translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"})


def trace_section(traces: Sequence[Trace]) -> str:
    """The section with the player of all traces; empty if there are none."""
    if not traces:
        return ""
    template = Template(files("dllm_rl.report").joinpath("trace.html").read_text(encoding="utf-8"))
    return template.substitute(tables="\n".join(map(_table, traces)), data=script_json([_shown(own) for own in traces]))


def _shown(trace: Trace) -> dict[str, object]:
    """What the script needs: texts as they are shown, and the forward passes in order."""
    question = " ".join(trace.question.split())
    short = question[:MAX_QUESTION_ON_BUTTON] + "…" * (len(question) > MAX_QUESTION_ON_BUTTON)
    return {"title": trace.title, "question": short, "verdict": _verdict(trace), "correct": trace.correct,
            "prompt": trace.prompt, "pieces": [visible(piece) for piece in trace.pieces], "steps": trace.steps,
            "passes": trace.passes}


def _verdict(trace: Trace) -> str:
    answer = "no answer" if trace.answer is None else f"answer {trace.answer}"
    right = "correct" if trace.correct else "wrong" if trace.gold is None else f"wrong, right is {trace.gold}"
    revealed, passes = sum(step > 0 for step in trace.steps), len(trace.passes)
    return f"{answer}: {right}; revealed tokens: {revealed}, forward passes: {passes}"


def _table(trace: Trace) -> str:
    rows = "".join(f"<tr><td><code>{html.escape(visible(piece))}</code></td><td>{step or 'never'}</td></tr>"
                   for piece, step in zip(trace.pieces, trace.steps, strict=True))
    caption = html.escape(f"{trace.title}: {trace.question} ({_verdict(trace)})")
    return f"<table><caption>{caption}</caption><tr><th>token</th><th>forward pass</th></tr>{rows}</table>"
