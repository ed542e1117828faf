"""The one place that reads and sets environment variables."""

import os


def prepare_process() -> None:
    """Settings that must stand before torch is imported.

    Waiting OpenMP threads would otherwise spin through their time slice at every barrier, which on a machine with
    other work slows small models up to a hundredfold.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def api_key() -> str | None:
    """What clients of a server must send (``DLLM_RL_API_KEY``)."""
    return os.environ.get("DLLM_RL_API_KEY") or None


def debugging() -> bool:
    """Whether errors of the user's making should show their traceback (``DLLM_RL_DEBUG=1``)."""
    return os.environ.get("DLLM_RL_DEBUG", "") not in ("", "0")
