"""The pool: verdicts in order whatever happens to the workers."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from dllm_rl.rewards import math_verifier
from dllm_rl.rewards.math_verifier import MathVerifier

HOSTILE = {
    "million_digits": "9" * 10**6,
    "million_terms": "1+" * 10**6 + "1",
    "deep_parentheses": "(" * 900 + "1" + ")" * 900,
    "deep_fractions": "\\frac{" * 250 + "1" + "}{2}" * 250,
    "deep_roots": "\\sqrt{" * 200 + "2" + "}" * 200,
    "braces": "{" * 1000 + "}" * 1000,
    "python_power": "9**9**9",
    "tower": "9^{9^{9^9}}",
    "power": "2^{1000000000}",
    "factorials": "((9!)!)!",
    "expansion": "(x+y+z+1)^{500}",
    "binomial": "\\binom{10^9}{5\\cdot10^8}",
    "product": "\\prod_{n=1}^{10^8} n",
    "integral": "\\int_0^1 \\sin(\\cos(\\tan(x^x))) dx",
    "list": ",".join(map(str, range(500))),
    "surrogate": "\ud800" * 500,
    "zero_bytes": "\x00" * 500,
    "emoji": "\U0001f600" * 500,
}


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    """A pool for this module."""
    with MathVerifier() as pool:
        yield pool


def worker_ids(verifier: MathVerifier) -> list[int]:
    """Process ids of the workers."""
    return [worker.process.pid for worker in verifier._workers]


def test_verdicts_come_in_order(verifier: MathVerifier) -> None:
    pairs = [("\\frac{1}{2}", "0.5"), ("4", "4\\sqrt{2}"), ("7", "7"), ("x+1", "1+x"), ("\\frac{1}{2}", "0.5"), ("7", "")]
    expected = [True, False, True, True, True, False]
    assert verifier.verify_pairs(pairs) == expected
    assert verifier.verify_pairs(pairs[::-1]) == expected[::-1]
    assert verifier.verify_pairs([]) == []


def test_hostile_gold_answers_end_too(verifier: MathVerifier) -> None:
    assert verifier.verify_pairs([(HOSTILE["tower"], "5"), (HOSTILE["deep_parentheses"], "1")]) == [False, False]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_ends_and_harms_no_neighbour(verifier: MathVerifier, name: str) -> None:
    hostile, good = HOSTILE[name], ("\\frac{6}{4}", "1.5")
    start = time.monotonic()
    assert verifier.verify_pairs([("5", hostile), good, ("x^2+1", hostile), good]) == [False, True, False, True]
    # Two pairs of 1 s processor time each on two workers; one that ignores its signal is killed after 3 s.
    assert time.monotonic() - start < 2 * verifier.wall_seconds + 1


def test_a_killed_worker_is_replaced(verifier: MathVerifier) -> None:
    pair = ("\\frac{6}{4}", "1.5")
    assert verifier.verify_pairs([pair, ("x", "y+0")]) == [True, False]
    before = worker_ids(verifier)
    for process_id in before:
        os.kill(process_id, signal.SIGKILL)
    time.sleep(0.2)
    assert verifier.verify_pairs([pair]) == [True]
    assert not set(before) & set(worker_ids(verifier))


def test_a_worker_that_stops_is_killed_at_the_wall_clock() -> None:
    with MathVerifier(num_workers=1, wall_seconds=0.5) as verifier:
        assert verifier.verify_pairs([("1/2", "0.5")]) == [True]
        [process_id] = worker_ids(verifier)
        os.kill(process_id, signal.SIGSTOP)
        assert verifier.verify_pairs([("1/2", "0.5"), ("x+1", "1+x")]) == [False, True]
        assert worker_ids(verifier) != [process_id]


def test_a_worker_that_dies_in_its_pair_loses_only_that_pair() -> None:
    with MathVerifier(num_workers=1) as verifier:
        assert verifier.verify_pairs([("1/2", "0.5")]) == [True]
        [process_id] = worker_ids(verifier)
        os.kill(process_id, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (process_id, signal.SIGKILL)).start()
        assert verifier.verify_pairs([("1/2", "0.5"), ("x+1", "1+x")]) == [False, True]


def test_workers_start_late_and_end_with_the_pool() -> None:
    verifier = MathVerifier(num_workers=2)
    assert verifier.verify_pairs([("7", "7"), ("7", "8"), ("x", "x")]) == [True, False, True]
    assert worker_ids(verifier) == []  # nothing of that takes mathematics
    verifier.verify_pairs([("1/2", "0.5")])
    processes = [worker.process for worker in verifier._workers]
    assert len(processes) == 1  # not more than there are pairs
    verifier.close()
    assert all(process.poll() is not None for process in processes)
    assert verifier.verify_pairs([("1/2", "0.5")]) == [True]
    verifier.close()


def test_threads_take_turns(verifier: MathVerifier) -> None:
    verdicts: dict[int, list[bool]] = {}

    def work(number: int) -> None:
        verdicts[number] = verifier.verify_pairs([("x+1", f"1+x+{number}-{number}"), ("x+1", f"x+{number + 2}")])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {number: [True, False] for number in range(4)}


def test_an_interrupt_leaves_no_old_verdict_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with MathVerifier(num_workers=1) as verifier:
        assert verifier.verify_pairs([("1/2", "0.5")]) == [True]
        with monkeypatch.context() as patch:
            patch.setattr(math_verifier._Batch, "_wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                verifier.verify_pairs([("1/2", "0.5")])
        assert verifier.verify_pairs([("1/2", "0.6"), ("1/2", "0.50")]) == [False, True]


def interrupted(batch: object) -> None:
    """Stands for Ctrl-C while a worker computes."""
    raise KeyboardInterrupt


def test_a_worker_that_is_killed_before_it_is_ready_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    real, starts = math_verifier._COMMAND, iter([["sh", "-c", "kill -9 $$"]] * 2)
    popen = subprocess.Popen
    monkeypatch.setattr(math_verifier.subprocess, "Popen",
                        lambda command, **options: popen(next(starts, real), **options))
    with MathVerifier(num_workers=1) as verifier:
        assert verifier.verify_pairs([("1/2", "0.50")]) == [True]
    monkeypatch.setattr(math_verifier, "_COMMAND", ["sh", "-c", "kill -9 $$"])
    monkeypatch.setattr(math_verifier.subprocess, "Popen", popen)
    with MathVerifier(num_workers=1) as verifier, pytest.raises(RuntimeError, match="ended at once"):
        verifier.verify_pairs([("1/2", "0.50")])


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_verifier, "_COMMAND", ["false"])
    with MathVerifier() as verifier, pytest.raises(RuntimeError, match="ended at once; to see why, run: echo | false"):
        verifier.verify_pairs([("1/2", "0.5")])


@pytest.mark.parametrize("arguments", [{"num_workers": 0}, {"wall_seconds": 0.0}])
def test_arguments_are_checked(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="num_workers must be 1 or more and wall_seconds positive, got"):
        MathVerifier(**arguments)
