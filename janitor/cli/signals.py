"""SIGINT and SIGTERM: the first asks a run to stop, the second doesn't wait for it. SIGHUP: read anew."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from janitor.settings import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WORD = b"\nstopping after what was sent already, then the report is written; again: at once\n"


@contextlib.contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Let signals set ``stop``, which then says which one it was; a second raises KeyboardInterrupt.

    Only a process's main thread can listen to signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.signal is not None:
            raise KeyboardInterrupt(number)
        stop.signal = number
        stop.set()
        # The buffered streams may be in the middle of a write, which they don't let a handler interrupt.
        with contextlib.suppress(OSError):
            os.write(2, _WORD)

    before: dict[signal.Signals, Any] = {each: signal.signal(each, heard) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def hanging_up(heard: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP call this meanwhile; elsewhere than in the main thread this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.signal(signal.SIGHUP, lambda *_: heard())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
