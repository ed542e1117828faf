"""A pool of maths workers: pairs of answers compared symbolically, whatever the answers contain."""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from dllm_rl.rewards.plain_equality import decide_plainly

_PROGRAM = Path(__file__).with_name("math_worker.py")
# A script, not a module: importing this package would load torch. -P keeps this folder, whose math.py would hide the
# standard library's, off the search path.
_COMMAND = [sys.executable, "-P", str(_PROGRAM)]
_START_SECONDS = 120.0

MAX_LENGTH = 2000
"""Characters of an answer that are read as mathematics (the longest of MATH has 159); longer ones must be identical."""


class _Worker:
    """One worker process. It starts at once and is ready later."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C in the terminal must not turn a pair into a wrong answer. The hash seed makes
        # the order of sympy's terms, on which its simplifications depend, the same in every worker.
        self.process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        env={**os.environ, "PYTHONHASHSEED": "0"})
        self.pair: tuple[str, str] | None = None
        self.deadline = time.monotonic() + _START_SECONDS
        self.is_ready = False

    @property
    def output(self) -> int:
        """File descriptor of the worker's replies."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def send(self, pair: tuple[str, str], seconds: float) -> None:
        """Give the worker a pair, which fits into the pipe; ``BrokenPipeError`` if the worker is gone."""
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), json.dumps(pair).encode() + b"\n")
        self.pair, self.deadline = pair, time.monotonic() + seconds

    def receive(self) -> bytes:
        """The reply that the selector announced; empty if the worker has ended."""
        return os.read(self.output, 64)

    def end_code(self) -> int:
        """The exit code of a worker that has closed its output; negative if a signal ended it."""
        return self.process.wait(_START_SECONDS)

    def stop(self) -> None:
        """End the process and wait for it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class MathVerifier:
    r"""Compares answers with math-verify in worker processes, which start when first needed.

    A worker that overruns the wall clock or dies is replaced and its pair counts as not equal. Beside the wall clock
    each pair has 1 s of processor time, so that a busy machine does not turn right answers into wrong ones. Usable
    from several threads, one batch at a time.

    Args:
        num_workers: processes.
        wall_seconds: longest time a pair may take on the clock.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> with MathVerifier(num_workers=1) as verifier:
        ...     verifier.verify_pairs([("\\frac{1}{2}", "0.5"), ("4", "4\\sqrt{2}")])
        [True, False]
    """

    def __init__(self, num_workers: int = 2, wall_seconds: float = 5.0) -> None:
        if num_workers < 1 or wall_seconds <= 0:
            raise ValueError(f"num_workers must be 1 or more and wall_seconds positive, got {num_workers} and "
                             f"{wall_seconds}")
        self.num_workers = num_workers
        self.wall_seconds = wall_seconds
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _stop_all, self._workers)

    def __enter__(self) -> "MathVerifier":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; the next batch would start new ones."""
        with self._lock:
            _stop_all(self._workers)

    def verify_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether each answer equals its gold one.

        Args:
            pairs: (gold, answer) each; the order matters, math-verify reads the answer in the light of the gold one.

        Returns:
            one verdict per pair, in order. Equal pairs of a batch are computed once.

        Raises:
            RuntimeError: a worker cannot start.
        """
        verdicts = {pair: decide_plainly(*pair, max_length=MAX_LENGTH) for pair in pairs}
        open_pairs = [pair for pair, verdict in verdicts.items() if verdict is None]
        with self._lock:
            try:
                verdicts.update(_Batch(self._workers, self.num_workers, self.wall_seconds).run(open_pairs))
            except BaseException:
                _stop_all(self._workers)  # an interrupted worker would answer the next batch with this one's verdicts
                raise
        return [verdicts[pair] is True for pair in pairs]


def _stop_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().stop()


MAX_KILLED = 4
"""Workers of one batch that may be killed before they are ready (out of memory, say) until that counts as a failure."""


class _Batch:
    """The pairs of one call on their way through the workers."""

    def __init__(self, workers: list[_Worker], num_workers: int, wall_seconds: float) -> None:
        self.workers = workers
        self.num_workers = num_workers
        self.wall_seconds = wall_seconds
        self.waiting: deque[tuple[str, str]] = deque()
        self.verdicts: dict[tuple[str, str], bool] = {}
        self.num_killed = 0

    def run(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        """The verdicts of all pairs."""
        self.waiting.extend(pairs)
        while len(self.verdicts) < len(pairs):
            self._hand_out()
            for worker in self._wait():
                self._take(worker)
            now = time.monotonic()
            for worker in [worker for worker in self.workers if worker.pair and worker.deadline < now]:
                self._settle(worker, False)
                self._drop(worker)
        return self.verdicts

    def _hand_out(self) -> None:
        missing = min(self.num_workers, len(self.waiting)) - len(self.workers)
        self.workers.extend(_Worker() for _ in range(missing))
        for worker in [worker for worker in self.workers if worker.is_ready and worker.pair is None]:
            if not self.waiting:
                return
            try:
                worker.send(self.waiting[0], self.wall_seconds)
                self.waiting.popleft()
            except BrokenPipeError:  # it died while idle; the next round starts another one
                self._drop(worker)

    def _wait(self) -> list[_Worker]:
        """The workers that have something to say, or none at the next deadline."""
        active = [worker for worker in self.workers if worker.pair or not worker.is_ready]
        if not active:
            return []
        with selectors.DefaultSelector() as selector:
            for worker in active:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            timeout = max(0.0, min(worker.deadline for worker in active) - time.monotonic())
            ready = [key.data for key, _ in selector.select(timeout)]
        late = [worker for worker in active if not worker.is_ready and worker.deadline < time.monotonic()]
        if late and not ready:
            raise _start_error("was not ready in time")
        return ready

    def _take(self, worker: _Worker) -> None:
        reply = worker.receive()
        if not worker.is_ready:
            if reply:
                worker.is_ready = True
            else:
                self._replace_unready(worker)
            return
        self._settle(worker, reply.startswith(b"1"))
        if b"+" not in reply:
            self._drop(worker)

    def _replace_unready(self, worker: _Worker) -> None:
        """Drop a worker that was killed before it said that it is ready; one that ended by itself cannot start."""
        code = worker.end_code()
        self._drop(worker)
        self.num_killed += 1
        if code >= 0 or self.num_killed > MAX_KILLED:
            raise _start_error("ended at once")

    def _settle(self, worker: _Worker, verdict: bool) -> None:
        assert worker.pair is not None
        self.verdicts[worker.pair] = verdict
        worker.pair = None

    def _drop(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.stop()


def _start_error(what: str) -> RuntimeError:
    return RuntimeError(f"a maths worker {what}; to see why, run: echo | {' '.join(_COMMAND)}")
