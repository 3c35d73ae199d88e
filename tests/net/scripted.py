"""A server whose answers a test writes down, and what stands around a request: time, gate, connections."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from janitor.net.bearer import Authenticator
from janitor.net.caller import Caller
from janitor.net.distribution import Distribution
from janitor.net.dockerconfig import Credentials
from janitor.net.http import Http
from tests.simulators.server import Answer, Request, Server

Script = Callable[[Request], Answer]


class Scripted(Server):
    """Answers by a function, or by a table of targets; what the table lacks is 404."""

    def __init__(self, script: Script | Mapping[str, Answer]) -> None:
        self.script = script
        super().__init__()

    def answer(self, request: Request) -> Answer:
        if callable(self.script):
            return self.script(request)
        return self.script.get(request.target, Answer(status=404))


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


def caller(time: Time | None = None, **settings: Any) -> Caller:
    """A gate whose back-off takes no time; jitter is as large as it can be."""
    time = time or Time()
    return Caller(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, **settings)


def http(**environ: str) -> Http:
    return Http(environ=environ, clock=Time().clock)


def distribution(
    server: Server, credentials: Credentials | None = None, time: Time | None = None
) -> Distribution:
    """The API of a server, with these credentials for all of it."""
    time = time or Time()
    gate, connections = caller(time), http()
    authenticator = Authenticator(
        endpoint=server.address, http=connections, caller=gate, find=lambda _: credentials, clock=time.clock
    )
    return Distribution(endpoint=server.address, http=connections, caller=gate, authenticator=authenticator)


def json(body: bytes | str, status: int = 200, **headers: str) -> Answer:
    """An answer of JSON; underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body
    return Answer(status=status, headers={"Content-Type": "application/json", **named}, body=content)


def environ(**extra: str) -> dict[str, str]:
    """The machine's environment with what a test adds."""
    return {**os.environ, **extra}
