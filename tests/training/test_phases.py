"""Stopwatches."""

import time

from dllm_rl.training.phases import Phases


def test_phases_add_up() -> None:
    phases, other = Phases(), Phases()
    for _ in range(2):
        with phases("long"):
            time.sleep(0.02)
    with other("short"):
        pass
    phases.add(other)
    spent = phases.seconds()
    assert list(spent) == ["seconds_long", "seconds_short"]
    assert spent["seconds_long"] >= 0.04
    assert phases.shares().startswith("long ")
    assert Phases().shares() == ""
