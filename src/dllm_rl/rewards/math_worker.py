"""The program of a maths worker: compares pairs of answers with math-verify, one after the other.

Run as a script in a process of its own, so that neither torch nor this package is loaded. Standard input: one JSON list
``[gold, answer]`` a line. Standard output: ``READY`` once, then per pair ``1`` or ``0`` for the verdict followed by
``+``, or by ``-`` if this was the worker's last pair, because its memory has grown; each on a line of its own.

Answers are hostile input: a pair has a limit of processor time, the process one of memory. What a signal cannot
interrupt (arithmetic on gigantic integers) dies by ``RLIMIT_CPU``, and the caller keeps a wall clock besides.
"""

import contextlib
import json
import math
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Float  # type: ignore[import-untyped]

CPU_SECONDS = 1.0
"""Processor time one pair may take."""
KILL_SECONDS = 2
"""Processor time, in whole seconds and rounded up, after which the system kills a worker that ignores its signal."""
MEMORY_BYTES = 1 << 30
"""Address space of a worker."""
RETIRE_BYTES = MEMORY_BYTES // 2
"""A worker that ever held more than this ends after its pair."""

MAX_RELATIVE_ERROR = 1e-5
"""How far a decimal may be from the number it stands for; math-verify alone rounds to 6 decimals, 0 = 10^-7 for it."""

_DELIMITERS = re.compile(r"\\\$|(?<!\\)(?:\\[()\[\]]|\$)")
_BARE_PERCENT = re.compile(r"(?<!\\)%")
_LATEX = [LatexExtractionConfig()]


class OutOfTimeError(BaseException):
    """A pair used up its processor time. Not an ``Exception``: the libraries swallow those."""


def main() -> None:
    """Answer pairs until standard input ends."""
    replies = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what a library prints must not pass for a verdict
    _set_limits()
    pair_equal("\\frac{1}{2}", "0.5")  # fills the parser's tables, so that no pair pays for it
    os.write(replies, b"READY\n")
    for line in sys.stdin.buffer:
        gold, answer = json.loads(line)
        verdict = b"1" if pair_equal(gold, answer) else b"0"
        os.write(replies, verdict + (b"-" if _peak_memory() > RETIRE_BYTES else b"+") + b"\n")


def pair_equal(gold: str, answer: str) -> bool:
    """Whether math-verify calls the two equal, within the time limit; what it cannot read or finish is not."""
    try:
        with _time_limit():
            first, second = _expressions(gold), _expressions(answer)
            return verify(first, second, timeout_seconds=None) and not _are_far_apart(first, second)
    except (OutOfTimeError, MemoryError, RecursionError):
        return False


def _are_far_apart(gold: Sequence[object], answer: Sequence[object]) -> bool:
    """Whether both are numbers, at least one of them a decimal, with a relative difference that is too large."""
    numbers = [item[0] for item in (gold, answer) if isinstance(item[0], Basic) and item[0].is_number]
    if len(numbers) < 2 or not any(number.has(Float) for number in numbers):
        return False
    first, second = (complex(number.doit().evalf()) for number in numbers)
    return abs(first - second) > MAX_RELATIVE_ERROR * abs(first)


def _expressions(text: str) -> list[object]:
    r"""The answer as math-verify reads it: an expression, if it can be read, and the normalised text.

    The whole text is one formula: delimiters inside are removed (``\$`` as currency too), because math-verify would
    pick one formula of several, and its search for plain numbers is off, because it would pick a number out of a
    formula that cannot be read.
    """
    formula = " ".join(_BARE_PERCENT.sub(r"\\%", _DELIMITERS.sub(" ", text)).split())
    return parse(f"${formula}$", extraction_config=_LATEX, parsing_timeout=None) if formula else []


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raise ``OutOfTimeError`` when the block has used its processor time, again and again if it is swallowed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    kill_at = math.ceil(used.ru_utime + used.ru_stime + KILL_SECONDS)
    before = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (kill_at, before[1]))
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS, CPU_SECONDS / 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, before)


def _out_of_time(signum: int, frame: object) -> None:
    raise OutOfTimeError


def _set_limits() -> None:
    signal.signal(signal.SIGPROF, _out_of_time)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _peak_memory() -> int:
    """Largest resident memory of this program, in bytes.

    Linux lets ``ru_maxrss`` of a new program start at what its parent held, gigabytes where torch is loaded, so that
    every worker would retire at once; the high-water mark of the address space starts afresh.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
