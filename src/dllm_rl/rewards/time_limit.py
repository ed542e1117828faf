"""Calls of a function that may hang, raise or try to end the process."""

import faulthandler
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

TIME_LIMIT = 600.0
"""Seconds that one call may take, if nothing else is said."""

STDERR = 2
"""The process's own standard error, whatever stands in its place in Python."""

GRACE = 30.0
"""Seconds beyond the limit after which a call that cannot be given up ends the process."""


class CallError(Exception):
    """A call that did not return.

    Attributes:
        number: its place among the calls, from 0.
        verb: what it did.
        place: where it stood, if that is known, and what it raised or what helps.
    """

    def __init__(self, number: int, verb: str, place: str) -> None:
        super().__init__(f"call {number} {verb}{place}")
        self.number, self.verb, self.place = number, verb, place


class _Raised(NamedTuple):
    """What a call raised in place of returning."""

    error: BaseException


def call_each(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], seconds: float) -> list[Any]:
    """What each call of a function returns, in order.

    All calls are made one after the other in one thread beside the caller's, so that the limit costs no thread per call.
    A thread cannot be stopped: one that hangs stays until the process ends, which it does not delay.

    Args:
        function: what to call. It runs outside the main thread, where Python's ``signal`` cannot be used.
        calls: positional arguments of each call.
        seconds: that one call may take.

    Raises:
        CallError: a call raises anything, ``SystemExit`` too, or takes longer; no further call is made.
    """
    outcomes: SimpleQueue[Any] = SimpleQueue()
    given_up = threading.Event()
    worker = threading.Thread(target=_work, args=(function, calls, outcomes, given_up, seconds), daemon=True, name="reward")
    worker.start()
    values = []
    try:
        for number in range(len(calls)):
            outcome = outcomes.get(timeout=seconds)
            if isinstance(outcome, _Raised):
                raise CallError(number, "failed", _place_of_error(outcome.error)) from outcome.error
            values.append(outcome)
    except Empty:
        remedy = "; mend it or allow more time (reward_time_limit)"
        raise CallError(len(values), f"has not returned within {seconds:g} s", _place_of(worker) + remedy) from None
    finally:
        faulthandler.cancel_dump_traceback_later()
        given_up.set()
    return values


def _work(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], outcomes: "SimpleQueue[Any]",
          given_up: threading.Event, seconds: float) -> None:
    for arguments in calls:
        # Code that keeps the interpreter to itself (a regular expression, a huge power) lets no other thread look at a
        # clock. This watchdog needs none: it prints where every thread stands and ends the process.
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=STDERR)
        try:
            outcome = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - none is lost: the other thread raises what it is handed
            outcome = _Raised(error)
        outcomes.put(outcome)
        if given_up.is_set() or isinstance(outcome, _Raised):
            return


def _place_of_error(error: BaseException) -> str:
    """The innermost line, and the error."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return f"{_at(frames[-1:])}: {type(error).__name__}: {error}"


def _place_of(worker: threading.Thread) -> str:
    """Where the function stands: the innermost line of its own file, as the lines of libraries say little."""
    frames = traceback.extract_stack(sys._current_frames().get(worker.ident or 0))
    ours = max((number for number, frame in enumerate(frames) if frame.filename == __file__), default=-1)
    inner = frames[ours + 1:]
    return _at([frame for frame in inner if frame.filename == inner[0].filename][-1:])


def _at(frames: Sequence[traceback.FrameSummary]) -> str:
    return "".join(f" at {frame.filename}, line {frame.lineno}" for frame in frames)
