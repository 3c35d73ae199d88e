"""A daemon at an instant that a test moves: nothing waits, a pause is a step of the clock."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from janitor.serve.daemon import Daemon
from janitor.serve.service import Service
from janitor.settings import Settings, Stop
from tests.journeys.inprocess import Clock
from tests.journeys.site import Watch

TICK = timedelta(seconds=1)


class Hours:
    """Pauses that let the time pass, and stop the daemon at its end.

    ``at`` are things that happen when the clock reaches an instant, between runs. A pause is as long as the
    daemon wants it, or ``stride``, whichever is longer: a day of single seconds would be long.
    """

    def __init__(self, clock: Clock, until: datetime, *, stride: timedelta = TICK) -> None:
        self.clock = clock
        self.until = until
        self.stride = stride
        self.stop = Stop()
        self.at: dict[datetime, Callable[[], object]] = {}
        self.pauses = 0

    def __call__(self, seconds: float) -> None:
        self.pauses += 1
        assert seconds >= 0
        self.clock.now += max(timedelta(seconds=seconds), self.stride)
        for instant in [each for each in sorted(self.at) if each <= self.clock.now]:
            self.at.pop(instant)()
        if self.clock.now >= self.until:
            self.end()

    def end(self, number: int = signal.SIGTERM) -> None:
        self.stop.signal = number
        self.stop.set()


@contextlib.contextmanager
def daemon(
    policies: Path, hours: Hours, *, watch: Watch | None = None, **settings: Any
) -> Iterator[tuple[Daemon, str]]:
    """A daemon with its page, on a free port, and its address."""
    wanted = Settings(policies=(str(policies),), **settings)
    with Service(
        wanted,
        ("127.0.0.1", 0),
        dict(os.environ),
        stop=hours.stop,
        clock=hours.clock,
        progress=watch or Watch(),
        pause=hours,
    ) as (made, address):
        yield made, f"http://{address}"
