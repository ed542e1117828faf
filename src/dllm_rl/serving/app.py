"""The routes of the server."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from dllm_rl.config.serving import ServeConfig
from dllm_rl.engine import Engine
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.registry import nearest
from dllm_rl.serving.forms import ChatForm, Form, TextForm
from dllm_rl.serving.metrics import metrics_text
from dllm_rl.serving.preparing import Prepared, Preparer
from dllm_rl.serving.problems import ApiError
from dllm_rl.serving.replies import Reply
from dllm_rl.serving.schemas import ChatRequest, CompletionRequest, Extras, Generation, Message, WeightsRequest
from dllm_rl.serving.worker import Worker

GONE_SECONDS = 0.5
"""How often it is looked whether a client still waits for its answer."""

KNOWN_FIELDS = sorted({name for model in (ChatRequest, CompletionRequest, Extras, Message) for name in model.model_fields})


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": meaning} for status, meaning in (
        (400, "A request that cannot be answered."), (401, "The API key is missing or wrong."),
        (404, "No such model."), (422, "Unused; errors of bodies are 400."), (429, "Too many requests wait."),
        (500, "Decoding failed."), (503, "The server is shutting down."))}


class Server:
    """A model, the worker that decodes with it, and the routes' work."""

    def __init__(self, lm: LanguageModel, config: ServeConfig, api_key: str | None) -> None:
        """Serve ``lm`` to clients that send ``api_key``, if there is one."""
        self.lm, self.config, self._api_key = lm, config, api_key
        self.name = config.model_name or Path(config.model.path).name
        self.created = int(time.time())
        self.engine = Engine(lm, config.engine)
        self._preparer = Preparer(lm, config, self.name)
        self._started: Worker | None = None

    @property
    def worker(self) -> Worker:
        """The engine's thread, which runs while the server does."""
        assert self._started is not None
        return self._started

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Run the worker while the server runs."""
        self._started = Worker(self.engine, self.config.max_waiting)
        yield
        await asyncio.to_thread(self._started.close)

    def check_key(self, authorization: Annotated[str | None, Header()] = None) -> None:
        """Refuse clients without the API key."""
        sent = (authorization or "").removeprefix("Bearer ").encode()
        if self._api_key is not None and not hmac.compare_digest(sent, self._api_key.encode()):
            raise ApiError(401, "the API key is missing or wrong; send the header Authorization: Bearer KEY",
                           kind="authentication_error", code="invalid_api_key")

    async def chat(self, body: ChatRequest, request: Request) -> Response:
        """Answer a conversation."""
        return await self._reply(ChatForm(), body, partial(self._preparer.chat, body), request)

    async def completions(self, body: CompletionRequest, request: Request) -> Response:
        """Continue texts, or fill the holes of one."""
        return await self._reply(TextForm(), body, partial(self._preparer.completion, body), request)

    async def _reply(self, form: Form, body: Generation, prepare: "partial[Prepared]", request: Request) -> Response:
        prepared = await asyncio.to_thread(prepare)
        reply = Reply(self.worker, self.lm, form, body, prepared)
        await reply.start()
        if body.stream:
            return StreamingResponse(reply.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await _unless_gone(request, reply.whole())

    def models(self) -> dict[str, Any]:
        """The model that is served."""
        return {"object": "list", "data": [{"id": self.name, "object": "model", "created": self.created,
                                            "owned_by": "dllm-rl"}]}

    async def metrics(self) -> PlainTextResponse:
        """Figures for Prometheus."""
        stats = await self.worker.call(self.engine.stats)
        return PlainTextResponse(metrics_text(stats, self.worker), media_type="text/plain; version=0.0.4")

    async def weights(self, body: WeightsRequest) -> dict[str, Any]:
        """Load weights from a checkpoint below ``weights_root``, between two steps; what is cached is made anew."""
        if self.config.weights_root is None:
            raise ApiError(403, "this server loads no weights; start it with weights_root=FOLDER", code="forbidden")
        root = Path(self.config.weights_root).resolve()
        folder = (root / body.path).resolve()
        if not folder.is_relative_to(root) or not (folder / "config.json").is_file():
            raise ApiError(400, f"no checkpoint {body.path!r} below weights_root; give a folder with a config.json", "path")
        model = self.config.model
        other = await asyncio.to_thread(
            load_model, folder, "cpu", model.dtype, mask_token_id=self.lm.mask_token_id, block_size=self.lm.block_size)
        tensors = other.backbone.state_dict()
        await self.worker.call(lambda: self.engine.load_weights(tensors.items(), body.version, keep_cache=False))
        return {"version": body.version}


async def _unless_gone(request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> Response:
    """The work's result; work for a client that has gone is dropped."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=GONE_SECONDS)
            if not task.done() and await request.is_disconnected():
                return Response(status_code=499)
        return JSONResponse(task.result())
    finally:
        task.cancel()


def create_app(lm: LanguageModel, config: ServeConfig, api_key: str | None = None) -> FastAPI:
    """The application.

    Args:
        lm: the model; needs a tokenizer.
        config: limits and defaults.
        api_key: what clients must send; ``None`` lets everybody in.

    Raises:
        ValueError: the checkpoint has no tokenizer.
    """
    if lm.tokenizer is None:
        raise ValueError("the checkpoint has no tokenizer, without which nothing can be served; add its tokenizer files")
    server = Server(lm, config, api_key)
    app = FastAPI(title="dllm-rl", lifespan=server.lifespan, docs_url=None, redoc_url=None)
    app.state.server = server
    guarded: dict[str, Any] = {"dependencies": [Depends(server.check_key)], "responses": ERRORS}
    app.post("/v1/chat/completions", **guarded)(server.chat)
    app.post("/v1/completions", **guarded)(server.completions)
    app.get("/v1/models", **guarded)(server.models)
    app.post("/v1/dllm/weights", **guarded | {"responses": ERRORS | {403: {
        "model": ErrorBody, "description": "Weights may not be loaded."}}})(server.weights)
    app.get("/metrics", response_class=PlainTextResponse, **guarded)(server.metrics)
    app.get("/health")(_health)
    app.get("/", response_class=HTMLResponse)(_page)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(ValueError, _api_error)
    app.add_exception_handler(RequestValidationError, _bad_body)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _health() -> dict[str, str]:
    """Whether the server answers."""
    return {"status": "ok"}


def _page() -> str:
    """The page to chat with."""
    return files("dllm_rl.serving").joinpath("page.html").read_text(encoding="utf-8")


def _answer(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, {"Retry-After": "1"} if error.status == 429 else None)


def _api_error(request: Request, error: Exception) -> Response:
    return _answer(error if isinstance(error, ApiError) else ApiError(400, str(error)))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _answer(ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))
    response.headers.update(error.headers or {})
    return response


def _bad_body(request: Request, error: Exception) -> Response:
    """The first thing that is wrong with a body, and how many others are."""
    assert isinstance(error, RequestValidationError)
    first, *others = error.errors()
    place = [str(part) for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        said = f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}"
    elif first["type"] == "extra_forbidden":
        said = f"unknown field {'.'.join(place)!r}{nearest(place[-1], KNOWN_FIELDS)}"
    else:
        said = f"{'.'.join(place) or 'the body'}: {first['msg']}"
    more = f" (and {len(others)} more problems)" if others else ""
    return _answer(ApiError(400, said + more, ".".join(place) or None))
