"""Calls in a thread of their own: values in order, and every way not to return."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dllm_rl.rewards.time_limit import CallError, call_each

SHORT = 0.2
SOURCE = Path(__file__).parents[2] / "src"


def test_values_come_in_order_from_one_thread() -> None:
    assert call_each(lambda a, b: a - b, [(5, 1), (1, 5)], 60) == [4, -4]
    threads = call_each(lambda _: threading.get_ident(), [(1,), (2,)], 60)
    assert threads[0] == threads[1] != threading.get_ident()
    assert call_each(print, [], 60) == []


def test_the_limit_is_for_each_call_not_for_all() -> None:
    assert call_each(lambda n: time.sleep(0.06) or n, [(n,) for n in range(5)], SHORT) == [0, 1, 2, 3, 4]


def hang(number: int) -> int:
    """Waits without end in the second call."""
    while number:
        time.sleep(0.01)
    return number


@pytest.mark.parametrize("function", [hang, lambda number: hang(number)])
def test_a_call_that_hangs_is_given_up_with_its_line(function: Callable[[int], int]) -> None:
    before = time.monotonic()
    with pytest.raises(CallError) as caught:
        call_each(function, [(0,), (1,), (0,)], SHORT)
    assert time.monotonic() - before < 30 * SHORT
    assert caught.value.number == 1
    loop = hang.__code__.co_firstlineno + 2
    assert str(caught.value).startswith("call 1 has not returned within 0.2 s")
    assert any(f"{__file__}, line {line};" in caught.value.place for line in (loop, loop + 1))


def test_a_hanging_library_call_is_placed_in_the_function_itself() -> None:
    event = threading.Event()

    def wait(_: int) -> None:
        event.wait()

    with pytest.raises(CallError) as caught:
        call_each(wait, [(0,)], SHORT)
    assert f" at {__file__}, line {wait.__code__.co_firstlineno + 1};" in caught.value.place
    event.set()


def test_no_further_call_is_made_after_one_that_was_given_up() -> None:
    event, threads = threading.Event(), []

    def wait(_: int) -> None:
        threads.append(threading.current_thread())
        event.wait()

    with pytest.raises(CallError):
        call_each(wait, [(0,), (1,)], SHORT)
    event.set()
    threads[0].join(10)
    assert not threads[0].is_alive() and len(threads) == 1


@pytest.mark.parametrize("error", [KeyError("b"), SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_is_raised_is_an_error_with_its_line(error: BaseException) -> None:
    def fail(number: int) -> int:
        if number:
            raise error
        return number

    with pytest.raises(CallError) as caught:
        call_each(fail, [(0,), (1,), (0,)], 60)
    assert (caught.value.number, caught.value.verb, caught.value.__cause__) == (1, "failed", error)
    line = fail.__code__.co_firstlineno + 2
    assert caught.value.place == f" at {__file__}, line {line}: {type(error).__name__}: {error}"


def test_code_that_keeps_the_interpreter_to_itself_ends_the_process() -> None:
    """A regular expression that backtracks for ever lets no other thread run; a watchdog below Python still does."""
    program = ("import re\nfrom dllm_rl.rewards import time_limit\ntime_limit.GRACE = 0.5\n"
               "time_limit.call_each(lambda: re.match(r'(a+)+$', 'a' * 60 + 'b'), [()], 0.5)\n")
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SOURCE)},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Timeout (0:00:01)!" in done.stderr and "time_limit.py" in done.stderr
