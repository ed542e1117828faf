"""The server, asked by OpenAI's own client, by hand, and by a machine that reads its description."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import openai
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.serving import ServeConfig
from dllm_rl.decoding import generate
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.serving.app import create_app
from dllm_rl.training.demo import create_tiny_model

TOLERANCE = 2e-5


@pytest.fixture
def api(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def expected(lm: LanguageModel, prompt: str, n: int = 1, **options: Any) -> list[Any]:
    config = DecodingConfig(**{"max_gen_length": 16, "remasking_strategy": "low_confidence_static", **options})
    return generate(lm, [prompt], config, n)[0]


def shown(lm: LanguageModel, ids: list[int]) -> str:
    assert lm.tokenizer is not None
    return str(lm.tokenizer.decode([token for token in ids if token not in lm.stop_token_ids], skip_special_tokens=True))


def test_a_chat_is_the_readable_decoders(api: openai.OpenAI, lm: LanguageModel) -> None:
    answer = api.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"},
                                {"role": "user", "content": "2+2"}],
        n=3, seed=11, logprobs=True, extra_body={"dllm": {"step_map": True}})
    rollouts = expected(lm, "Q: 1+1 A: 2\nQ: 2+2 A: ", 3, seed=11)
    for choice, rollout in zip(answer.choices, rollouts, strict=True):
        assert choice.message.content == shown(lm, rollout.response_ids)
        assert choice.finish_reason == rollout.finish_reason
        assert choice.logprobs is not None and choice.logprobs.content is not None
        assert [token.logprob for token in choice.logprobs.content] == pytest.approx(rollout.logprobs, abs=TOLERANCE)
        extras = choice.model_dump()["dllm"]
        assert extras["step_map"] == rollout.step_map and extras["token_ids"] == rollout.response_ids
        assert (extras["seed"], extras["num_forwards"]) == (rollout.seed, rollout.num_forwards)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len("Q: 1+1 A: 2\nQ: 2+2 A: ")
    assert answer.usage.completion_tokens == sum(len(rollout.response_ids) for rollout in rollouts)


def test_a_stream_says_the_same(api: openai.OpenAI, lm: LanguageModel) -> None:
    said: dict[int, str] = {0: "", 1: ""}
    ends, events, used = dict[int, str](), 0, None
    for piece in api.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "hi"}], n=2, seed=5, stream=True,
            stream_options={"include_usage": True}, extra_body={"dllm": {"events": True}}):
        used = piece.usage or used
        for choice in piece.choices:
            said[choice.index] += choice.delta.content or ""
            events += choice.model_dump().get("dllm", {}).get("event") == "unmask"
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    rollouts = expected(lm, "Q: hi A: ", 2, seed=5)
    assert said == {number: shown(lm, rollout.response_ids) for number, rollout in enumerate(rollouts)}
    assert ends == {number: rollout.finish_reason for number, rollout in enumerate(rollouts)}
    assert events >= 6 and used is not None
    assert used.completion_tokens == sum(len(rollout.response_ids) for rollout in rollouts)


def test_completions_of_several_prompts(api: openai.OpenAI, lm: LanguageModel) -> None:
    assert lm.tokenizer is not None
    answer = api.completions.create(model="tiny", prompt=["one", "two"], max_tokens=8, temperature=0, logprobs=1, seed=1)
    for choice, prompt in zip(answer.choices, ("one", "two"), strict=True):
        [rollout] = expected(lm, prompt, max_gen_length=8, temperature=0.0, seed=1)
        assert choice.text == shown(lm, rollout.response_ids)
        assert choice.logprobs is not None
        assert choice.logprobs.token_logprobs == pytest.approx(rollout.logprobs, abs=TOLERANCE)
    ids = lm.tokenizer.encode("one", add_special_tokens=False)
    again = api.completions.create(model="tiny", prompt=ids, max_tokens=8, temperature=0, seed=1)
    assert again.choices[0].text == answer.choices[0].text


def test_each_request_has_its_own_settings(api: openai.OpenAI, lm: LanguageModel) -> None:
    answer = api.completions.create(model="tiny", prompt="x", seed=2, top_p=0.9, temperature=0.7, extra_body={"dllm": {
        "decoding": {"remasking_strategy": "sequential", "block_size": 8, "top_k": 50}, "step_map": True}})
    [rollout] = expected(lm, "x", seed=2, top_p=0.9, temperature=0.7, remasking_strategy="sequential", block_size=8,
                         top_k=50)
    assert answer.choices[0].model_dump()["dllm"]["step_map"] == rollout.step_map
    assert answer.choices[0].text == shown(lm, rollout.response_ids)


def test_a_stop_text_ends_the_response_before_it(api: openai.OpenAI, lm: LanguageModel) -> None:
    """Found across tokens; in a stream not even its beginning is told."""
    [rollout] = expected(lm, "stop here", max_gen_length=64, seed=7, ignore_eos=True)
    text = shown(lm, rollout.response_ids)
    place = next(place for place in range(5, len(text) - 2) if "\N{REPLACEMENT CHARACTER}" not in text[:place + 2]) \
        if "\N{REPLACEMENT CHARACTER}" not in text[:8] else 1
    stop = text[place:place + 2]
    options: dict[str, Any] = {"model": "tiny", "prompt": "stop here", "max_tokens": 64, "seed": 7, "stop": [stop],
                               "extra_body": {"dllm": {"decoding": {"ignore_eos": True}}}}
    answer = api.completions.create(**options)
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].text == text[:text.find(stop)]
    pieces = list(api.completions.create(**options, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == answer.choices[0].text
    assert pieces[-1].choices[0].finish_reason == "stop"


def test_holes_are_filled(client: TestClient) -> None:
    body = {"model": "tiny", "temperature": 0, "dllm": {"step_map": True, "infill": [
        {"text": "two and "}, {"mask": 3}, {"text": " is "}, {"mask": 1}, {"text": "."}]}}
    [choice] = client.post("/v1/completions", json=body).json()["choices"]
    steps = choice["dllm"]["step_map"]
    assert [step > 0 for step in steps] == [True] * 3 + [False] * 4 + [True] + [False]
    assert bytes(choice["dllm"]["token_ids"][3:7]).hex() == bytes(client.app.state.server.lm.tokenizer.encode(" is ")).hex()


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"prompt": "x", "strem": True}, 400, "unknown field 'strem'; did you mean 'stream'"),
    ({"prompt": "x", "n": 0}, 400, "n: Input should be greater than or equal to 1"),
    ({"prompt": "x", "n": 9}, 400, "9 choices exceed this server's limit of 8"),
    ({"prompt": "x", "n": "2"}, 400, "n: Input should be a valid integer"),
    ({"prompt": "x", "max_tokens": 201}, 400, "201 tokens of a response exceed this server's limit of 200"),
    ({"prompt": "x" * 101}, 400, "101 tokens of a prompt exceed this server's limit of 100"),
    ({"prompt": [99999]}, 400, "the vocabulary is 0.."),
    ({"prompt": ""}, 400, "empty prompt; give at least one token"),
    ({"prompt": []}, 400, "prompt is an empty list"),
    ({}, 400, "needs either prompt or dllm.infill"),
    ({"prompt": "x", "model": "gpt"}, 404, "no model 'gpt' is served here; use 'tiny'"),
    ({"prompt": "x", "echo": True}, 400, "echo"),
    ({"prompt": "x", "dllm": {"decoding": {"top_q": 3}}}, 400, "dllm.decoding has no option 'top_q'"),
    ({"prompt": "x", "dllm": {"decoding": {"block_size": 0}}}, 400, "dllm.decoding: block_size"),
    ({"prompt": "x", "dllm": {"decoding": {"stop_token_list": [4000]}}}, 400, "stop token 4000 is outside the vocabulary"),
    ({"prompt": "x", "dllm": {"decoding": {"remasking_strategy": "lowest"}}}, 400, "lowest"),
    ({"dllm": {"infill": [{"mask": 2}]}}, 400, "must begin with a text and have a hole"),
    ({"dllm": {"infill": [{"text": "a"}, {"text": "b", "mask": 1}]}}, 400, "each piece of dllm.infill is either"),
    ({"max_tokens": 3, "dllm": {"infill": [{"text": "a"}, {"mask": 1}]}}, 400, "leave out max_tokens and stop"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD, ids=[own[2] for own in BAD])
def test_bad_bodies(body: dict[str, Any], status: int, said: str, client: TestClient) -> None:
    answer = client.post("/v1/completions", json={"model": "tiny", **body})
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_what_is_no_request(client: TestClient) -> None:
    answer = client.post("/v1/completions", content=b'{"model": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["message"].startswith("the body is not JSON")
    assert client.get("/v1/nothing").status_code == 404
    assert client.get("/v1/completions").status_code == 405
    chat = {"model": "tiny", "messages": [{"role": "assistant", "content": "no"}]}
    answer = client.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 400 and "every answer needs a question" in answer.json()["error"]["message"]
    answer = client.post("/v1/chat/completions", json={**chat, "top_logprobs": 3})
    assert answer.status_code == 400
    answer = client.post("/v1/chat/completions", json={**chat, "dllm": {"infill": [{"text": "a"}, {"mask": 1}]}})
    assert "use /v1/completions" in answer.json()["error"]["message"]


def test_the_key(lm: LanguageModel, config: ServeConfig) -> None:
    with TestClient(create_app(lm, config, api_key="sesame")) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer no"}).status_code == 401
        answer = client.get("/v1/models", headers={"Authorization": "Bearer sesame"})
        assert answer.status_code == 200 and answer.json()["data"][0]["id"] == "tiny"
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/").text.startswith("<!doctype html>")


def figures(client: httpx.Client) -> dict[str, int]:
    lines = client.get("/metrics").text.splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


@contextmanager
def soon(seconds: float = 20) -> Iterator[Any]:
    """A clock that ends a wait."""
    until = monotonic() + seconds

    def wait() -> None:
        assert monotonic() < until, "it took too long"
        sleep(0.05)

    yield wait


def test_who_leaves_frees_its_slots(address: str) -> None:
    """A client that closes its connection in the middle of a stream, and one that waits for a whole answer."""
    body = {"model": "tiny", "prompt": "x", "max_tokens": 200, "n": 4, "dllm": {"decoding": {"ignore_eos": True}}}
    with httpx.Client(base_url=address) as client, soon() as wait:
        with client.stream("POST", "/v1/completions", json=body | {"stream": True}) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert figures(client)["dllm_running"] == 4
        while figures(client)["dllm_running"] or figures(client)["dllm_waiting"]:
            wait()
        host, port = address.removeprefix("http://").split(":")
        content = json.dumps(body).encode()
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                        + str(len(content)).encode() + b"\r\n\r\n" + content)
            while not figures(client)["dllm_running"]:
                wait()
        while figures(client)["dllm_running"] or figures(client)["dllm_waiting"]:
            wait()
        assert figures(client)["dllm_ended_total"] <= 1


def test_too_many_are_refused(address: str) -> None:
    """Four slots and sixteen that may wait: a twenty-first response is refused, until others have ended."""
    body = {"model": "tiny", "prompt": "x", "max_tokens": 200, "n": 5, "dllm": {"decoding": {"ignore_eos": True}}}

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            return await asyncio.gather(*(client.post("/v1/completions", json=body) for _ in range(5)))

    answers = asyncio.run(ask())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429]
    [refused] = [answer for answer in answers if answer.status_code == 429]
    assert refused.headers["Retry-After"] == "1" and refused.json()["error"]["code"] == "too_many_requests"
    with httpx.Client(base_url=address) as client:
        assert client.post("/v1/completions", json=body | {"max_tokens": 4}).status_code == 200
        assert figures(client)["dllm_refused_total"] == 1 and figures(client)["dllm_ended_total"] == 25


def test_weights_are_reloaded_from_below_a_folder(lm: LanguageModel, config: ServeConfig, checkpoint: Path) -> None:
    create_tiny_model(checkpoint.parent / "other", seed=9)
    own = config.model_copy(update={"weights_root": str(checkpoint.parent)})
    ask = {"model": "tiny", "prompt": "x", "temperature": 0}
    with TestClient(create_app(lm, config)) as client:
        assert client.post("/v1/dllm/weights", json={"path": "other", "version": 2}).status_code == 403
    with TestClient(create_app(lm, own)) as client:
        before = client.post("/v1/completions", json=ask).json()["choices"][0]
        for path in ("nowhere", "../..", str(checkpoint.parent.parent)):
            answer = client.post("/v1/dllm/weights", json={"path": path, "version": 2})
            assert answer.status_code == 400 and "below weights_root" in answer.json()["error"]["message"]
        assert client.post("/v1/dllm/weights", json={"path": "other", "version": 2}).json() == {"version": 2}
        after = client.post("/v1/completions", json=ask).json()["choices"][0]
        assert after["text"] != before["text"] and set(after["dllm"]["weight_versions"]) == {2}
        assert client.post("/v1/dllm/weights", json={"path": "tiny", "version": 3}).status_code == 200
        assert client.post("/v1/completions", json=ask).json()["choices"][0]["text"] == before["text"]


def test_damaged_weights_fail_requests_and_not_the_server(checkpoint: Path, config: ServeConfig) -> None:
    lm = load_model(checkpoint)
    weight = lm.backbone.get_output_embeddings().weight.data
    good = weight.clone()
    with TestClient(create_app(lm, config)) as client:
        weight[3] = float("nan")
        answer = client.post("/v1/completions", json={"model": "tiny", "prompt": "x"})
        assert answer.status_code == 500 and "logits are NaN or infinite" in answer.json()["error"]["message"]
        weight.copy_(good)
        assert client.post("/v1/completions", json={"model": "tiny", "prompt": "x"}).status_code == 200


def test_what_the_description_says_holds(lm: LanguageModel, config: ServeConfig) -> None:
    """Bodies made from the description: each answer has a documented status, type and form."""
    app = create_app(lm, config.model_copy(update={"max_output_tokens": 8, "max_prompt_tokens": 30}))
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    with TestClient(app):       # the lifespan runs
        operations = [found.ok() for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()]
        assert {own.path for own in operations} >= {"/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics"}
        for operation in operations:
            @settings(max_examples=12, deadline=None, derandomize=True, database=None,
                      suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def check(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=checks)

            check()
