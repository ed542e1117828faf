"""The reply to one request: its choices, from the engine's events to one object or a stream."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from dllm_rl.engine import BlockDone, Ended, Failed, Unmasked
from dllm_rl.engine.events import Watch
from dllm_rl.families import LanguageModel
from dllm_rl.serving.answers import Answer, usage
from dllm_rl.serving.forms import Form
from dllm_rl.serving.preparing import Prepared
from dllm_rl.serving.problems import ApiError, failed
from dllm_rl.serving.schemas import Generation
from dllm_rl.serving.worker import Sink, Worker


class Reply:
    """One request on its way; ``start`` it, then take it ``whole`` or as a ``stream``."""

    def __init__(self, worker: Worker, lm: LanguageModel, form: Form, body: Generation, prepared: Prepared) -> None:
        """See the class."""
        self._worker, self._form, self._body, self._prepared = worker, form, body, prepared
        self._answers = [Answer(lm, body.stops) for _ in prepared.requests]
        self._open: dict[int, int] = {}
        self._sink = Sink()
        self._head = {"id": f"{form.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}

    async def start(self) -> None:
        """Hand the requests to the engine; errors as of ``Worker.submit``."""
        watch: Watch = "steps" if self._body.stream and self._body.dllm.events else "blocks"
        tickets = await self._worker.submit(self._prepared.requests, self._prepared.config, watch, self._sink)
        self._open = {ticket: index for index, ticket in enumerate(tickets)}

    async def _news(self) -> AsyncIterator[tuple[int, str, Unmasked | None]]:
        """What comes, until all choices have ended: index, new text, or what was revealed; ``ApiError`` if one failed."""
        try:
            while self._open:
                event = await self._sink.queue.get()
                index = self._open.get(event.ticket)
                if index is None:       # a stop text has ended it
                    continue
                answer = self._answers[index]
                if isinstance(event, Failed):
                    raise failed(event.error)
                if isinstance(event, Unmasked):
                    yield index, "", event
                    continue
                text = answer.add(event) if isinstance(event, BlockDone) else answer.end(event)
                if isinstance(event, Ended):
                    del self._open[event.ticket]
                elif answer.finish_reason is not None:
                    del self._open[event.ticket]
                    self._worker.cancel([event.ticket])
                yield index, text, None
        finally:
            self._worker.cancel(list(self._open))

    async def whole(self) -> dict[str, Any]:
        """The answer as one object."""
        async for _ in self._news():
            pass
        choices = [self._form.choice(index, answer, self._body) for index, answer in enumerate(self._answers)]
        return self._head | {"object": self._form.whole, "choices": choices,
                             "usage": usage(self._prepared.prompt_tokens, self._answers)}

    async def stream(self) -> AsyncIterator[str]:
        """The answer as server-sent events; an error on the way is the last of them."""
        begun = set[int]()
        try:
            async for index, text, event in self._news():
                answer = self._answers[index]
                if event is not None:
                    yield self._line([self._form.shown(index, answer.event(event))])
                if text or (index not in begun and event is None):
                    yield self._line([self._form.piece(index, text, index not in begun)])
                    begun.add(index)
                if answer.finish_reason is not None:
                    yield self._line([self._form.end(index, answer, self._body)])
        except ApiError as error:       # the status has been sent already
            yield _event(error.body())
            return
        if self._body.stream_options is not None and self._body.stream_options.include_usage:
            yield self._line([], usage(self._prepared.prompt_tokens, self._answers))
        yield "data: [DONE]\n\n"

    def _line(self, choices: list[dict[str, Any]], used: dict[str, int] | None = None) -> str:
        return _event(self._head | {"object": self._form.part, "choices": choices, "usage": used})


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
