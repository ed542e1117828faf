"""A tiny model with a byte-level tokenizer behind the server."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
import uvicorn
from fastapi.testclient import TestClient

from dllm_rl.config.engine import EngineConfig
from dllm_rl.config.serving import ServeConfig
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.serving.app import create_app
from dllm_rl.training.demo import create_tiny_model

TEMPLATE = "Q: {problem} A: "


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "tiny"
    create_tiny_model(folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def lm(checkpoint: Path) -> LanguageModel:
    return load_model(checkpoint)


@pytest.fixture(scope="session")
def config(checkpoint: Path) -> ServeConfig:
    return ServeConfig.model_validate({
        "model": {"path": str(checkpoint)}, "prompt": {"template": TEMPLATE},
        "decoding": {"max_gen_length": 16, "remasking_strategy": "low_confidence_static"}, "max_prompt_tokens": 100,
        "max_output_tokens": 200, "max_n": 8, "engine": {"max_num_seqs": 8}, "max_waiting": 16})


@pytest.fixture
def client(lm: LanguageModel, config: ServeConfig) -> Iterator[TestClient]:
    with TestClient(create_app(lm, config)) as found:
        yield found


@pytest.fixture
def address(lm: LanguageModel, config: ServeConfig) -> Iterator[str]:
    """A server on a free port of this machine."""
    own = config.model_copy(update={"engine": EngineConfig(max_num_seqs=4)})
    server = uvicorn.Server(uvicorn.Config(create_app(lm, own), host="127.0.0.1", port=0, log_level="warning"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
