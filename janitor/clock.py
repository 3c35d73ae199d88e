"""A clock that doesn't go back while a run lasts.

How old a reading is, is told by the difference of two times. Where a machine's clock is set back meanwhile, a
reading of an hour ago would look as if it were of now, and be acted on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta


def onward(clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """Read a clock so that it goes on from where it was when it is set back; may be read by many threads."""
    reading = threading.Lock()
    last = clock()
    lost = timedelta()

    def read() -> datetime:
        nonlocal last, lost
        with reading:
            now = clock() + lost
            if now < last:
                lost += last - now
                now = last
            last = now
            return now

    return read
