"""The worker: the one thread that owns the engine, between requests of an event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.request import Request
from dllm_rl.engine import Ended, Engine, Event, Failed
from dllm_rl.engine.events import Watch
from dllm_rl.serving.problems import ApiError

WAKE_SECONDS = 0.2
"""How often an idle worker looks whether it shall end."""


class Sink:
    """Events of some tickets, awaited in an event loop."""

    def __init__(self) -> None:
        """Of the running loop."""
        self._loop, self.queue = asyncio.get_running_loop(), asyncio.Queue[Event]()

    def put(self, event: Event) -> None:
        """Deliver from another thread; what comes when the loop has ended is nobody's."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.queue.put_nowait, event)


class Worker:
    """Runs the engine while anything is to be decoded, and everything else that touches it between two steps."""

    def __init__(self, engine: Engine, max_waiting: int) -> None:
        """Start; more than ``max_waiting`` responses beside those in flight are refused."""
        self._engine, self._most = engine, engine.config.max_num_seqs + max_waiting
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._sinks: dict[int, Sink] = {}
        self._closing = False
        self.num_refused, self.num_failed, self.num_ended = 0, 0, 0
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def submit(self, requests: Sequence[Request], config: DecodingConfig, watch: Watch, sink: Sink) -> list[int]:
        """Let requests wait for their turn; all of them or none.

        Returns:
            their tickets, whose events come to ``sink``.

        Raises:
            ApiError: too many wait (429), or the server ends (503).
            ValueError: settings that do not fit the model.
        """
        def action() -> list[int]:
            if self._closing:
                raise ApiError(503, "the server is shutting down", kind="server_error", code="shutting_down")
            if len(self._sinks) + len(requests) > self._most:
                self.num_refused += 1
                raise ApiError(429, f"{len(self._sinks)} responses are waiting or being decoded and {len(requests)} more "
                               f"exceed {self._most}; try again later", kind="rate_limit_error", code="too_many_requests")
            tickets = list[int]()
            try:
                for request in requests:
                    tickets.append(self._engine.submit(request, config, watch))
            except ValueError:
                for ticket in tickets:
                    self._engine.cancel(ticket)
                raise
            self._sinks |= dict.fromkeys(tickets, sink)
            return tickets

        found: list[int] = await self.call(action)
        return found

    def cancel(self, tickets: Sequence[int]) -> None:
        """Drop requests; those that have ended are left alone."""
        def action() -> None:
            for ticket in tickets:
                if self._sinks.pop(ticket, None) is not None:
                    self._engine.cancel(ticket)

        self._inbox.put(action)

    async def call(self, action: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the action returns
        """Run something on the engine's thread between two steps; its result or its error."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(action())
            except (ApiError, ValueError, FloatingPointError, RuntimeError, OSError) as error:
                future.set_exception(error)

        self._inbox.put(run)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what is left and end the thread."""
        self._closing = True
        self.cancel(list(self._sinks))
        self._thread.join()

    def _run(self) -> None:
        while not (self._closing and self._engine.is_idle and self._inbox.empty()):
            self._take()
            try:
                events = self._engine.step()
            except (RuntimeError, ValueError, FloatingPointError) as error:     # out of memory is a RuntimeError
                events = [Failed(ticket, error) for ticket in self._sinks]
                for ticket in self._sinks:
                    self._engine.cancel(ticket)
            for event in events:
                self._deliver(event)

    def _take(self) -> None:
        """Do what others want done; an idle engine waits for it."""
        try:
            action = self._inbox.get(timeout=WAKE_SECONDS) if self._engine.is_idle else self._inbox.get_nowait()
            while True:
                action()
                action = self._inbox.get_nowait()
        except Empty:
            return

    def _deliver(self, event: Event) -> None:
        sink = self._sinks.get(event.ticket)
        if isinstance(event, (Ended, Failed)):
            self._sinks.pop(event.ticket, None)
            self.num_ended += isinstance(event, Ended)
            self.num_failed += isinstance(event, Failed)
        if sink is not None:
            sink.put(event)
