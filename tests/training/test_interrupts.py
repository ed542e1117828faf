"""Signals during a run."""

import os
import signal
import threading

import pytest

from dllm_rl.training.interrupts import SIGNALS, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_acts(number: int) -> None:
    said: list[str] = []
    before = signal.getsignal(number)
    with Interrupts(said.append) as interrupts:
        assert interrupts.number is None
        os.kill(os.getpid(), number)
        assert interrupts.number == number
        with pytest.raises(SystemExit) as end:
            os.kill(os.getpid(), number)
        assert end.value.code == 128 + number
    assert len(said) == 1 and "stopping behind this step" in said[0]
    assert signal.getsignal(number) is before


def test_other_threads_note_nothing() -> None:
    found = []

    def use() -> None:
        with Interrupts(found.append) as interrupts:
            found.append(interrupts.number)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [None]
