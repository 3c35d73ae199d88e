from __future__ import annotations

import os
import signal
import threading

import pytest

from janitor.cli.signals import stopping
from janitor.settings import Stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_does_not_wait(number: signal.Signals) -> None:
    stop = Stop()
    with stopping(stop):
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert stop.signal == number
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), number)
        assert caught.value.args == (number,)


def test_signals_do_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), stopping(Stop()):
        raise RuntimeError
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_stop_for_another_reason_is_no_signal() -> None:
    stop = Stop()
    stop.set()
    with stopping(stop):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.signal == signal.SIGTERM


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def elsewhere() -> None:
        with stopping(Stop()):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]
