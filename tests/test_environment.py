"""Environment variables are set before torch is imported, and the user's own stay."""

import os

import pytest

from dllm_rl.environment import debugging, prepare_process


def test_settings_are_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    prepare_process()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["TOKENIZERS_PARALLELISM"]) == ("passive", "true")


@pytest.mark.parametrize(("value", "is_on"), [("", False), ("0", False), ("1", True)])
def test_debugging(value: str, is_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLLM_RL_DEBUG", value)
    assert debugging() is is_on
