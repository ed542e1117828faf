"""The worker's program, run as the pool runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dllm_rl.rewards import math_worker

PROGRAM = Path(math_worker.__file__)


def run(program: list[str], lines: str) -> str:
    """Standard output of a worker that gets these lines."""
    done = subprocess.run([sys.executable, "-P", *program], input=lines, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_answers_line_by_line() -> None:
    pairs = [("\\frac{1}{2}", "0.5"), ("4", "4\\sqrt{2}"), ("x", "\ud800\x00\n"), ("12", "12")]
    assert run([str(PROGRAM)], "".join(json.dumps(pair) + "\n" for pair in pairs)).splitlines() == [
        "READY", "1+", "0+", "0+", "1+"]


def test_it_is_light() -> None:
    program = f"""
import runpy, sys
runpy.run_path({str(PROGRAM)!r}, run_name="__main__")
assert not {{"torch", "transformers", "dllm_rl", "pydantic"}} & set(sys.modules), "heavy"
"""
    assert run(["-c", program], "") == "READY\n"


def test_what_libraries_print_is_not_a_verdict() -> None:
    program = f"""
import runpy, sys
runpy.run_path({str(PROGRAM)!r}, run_name="__main__")
print("1+", flush=True)
"""
    assert run(["-c", program], "") == "READY\n"


def test_it_retires_when_its_memory_has_grown() -> None:
    program = f"""
import runpy
worker = runpy.run_path({str(PROGRAM)!r})
worker["main"].__globals__["RETIRE_BYTES"] = 1
worker["main"]()
"""
    assert run(["-c", program], '["1/2", "0.5"]\n') == "READY\n1-\n"


@pytest.mark.parametrize(("gold", "answer", "verdict"), [
    ("28\\%", "$28$ %", True),
    ("5", "\\(5\\)", True),
    ("[1,2]", "\\[\\left[1, 2\\right]\\]", True),
    ("[1,2]", "(1,2)", False),
    ("18", "\\$18", True),
    ("3", "3$ and not $4", False),   # one formula, not a choice of two
    ("4", "3$ and not $4", False),
    ("5", "x \\foo{ 5", False),      # no number is picked out of what cannot be read
    ("5", "$", False),
    ("10^{-7}", "0.0", False),       # math-verify alone rounds both to 0
    ("0.0000001", "2\\cdot10^{-7}", False),
    ("\\frac{1}{3}", "0.333333", True),
    ("\\frac{1}{3}", "0.33", False),
    ("\\pi", "3.141593", True),
    ("2+3i", "3i+2.0", True),
    ("\\frac{1}{2}", "50.0\\%", True),
])
def test_pairs(gold: str, answer: str, verdict: bool) -> None:
    assert math_worker.pair_equal(gold, answer) is verdict


def test_a_worker_does_not_count_its_parents_memory() -> None:
    """``ru_maxrss`` is inherited through exec: a large trainer must not make every worker retire after one pair."""
    heavy = bytearray(700 * 2**20)
    assert len(heavy) > 2 ** 29
    assert run([str(PROGRAM)], json.dumps(["1/2", "0.5"]) + "\n").splitlines() == ["READY", "1+"]
