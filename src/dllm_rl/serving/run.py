"""``dllm-rl serve``: the server as a command."""

from collections.abc import Callable

import uvicorn

from dllm_rl.config.serving import ServeConfig
from dllm_rl.environment import api_key
from dllm_rl.evaluation.models import load_configured
from dllm_rl.serving.app import create_app

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def run_serve(config: ServeConfig, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; running requests then get ``shutdown_grace`` seconds.

    Args:
        config: the model, where to listen, limits.
        say: is told the address, and that others can reach it.

    Raises:
        ValueError: a checkpoint without a tokenizer, or an address that cannot be listened at.
    """
    key = api_key() if config.api_key is None else config.api_key.get_secret_value()
    app = create_app(load_configured(config.model), config, key)
    if config.host not in LOOPBACK and key is None:
        say(f"warning: whoever reaches {config.host}:{config.port} can use this model; set api_key")
    say(f"serving {config.model.path} at http://{config.host}:{config.port} (Ctrl-C ends)")
    uvicorn.run(app, host=config.host, port=config.port, log_level="warning",
                timeout_graceful_shutdown=config.shutdown_grace)
