"""Simulated registries in which something happens at one request: a client is killed, or must wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future

from tests.simulators.ecr import EcrServer
from tests.simulators.oci import OciServer
from tests.simulators.server import Answer, Request, Server


class Killed(ConnectionError):
    """The client is gone: its request does nothing, and nobody is answered."""


class Eventful(Server):
    """At the request ``at``, counted from 0, ``event`` happens: before it takes effect, or after.

    It is called by the thread that serves the request, and nobody else is kept from being served meanwhile
    when it happens before. ``kinds`` says what each request was.
    """

    def listen(self, at: int = -1, event: Callable[[], None] = lambda: None, *, after: bool = False) -> None:
        """Count anew."""
        self._counting = threading.Lock()
        self._at, self._event, self._after = at, event, after
        self._meant: Request | None = None
        self.kinds: list[str] = []

    def called(self, request: Request) -> str:
        name = super().called(request)
        with self._counting:
            if len(self.kinds) == self._at:
                self._meant = request
            self.kinds.append(kind_of(name))
        if self._meant is request and not self._after:
            self._event()
        return name

    def answered(self, request: Request, answer: Answer) -> Answer:
        """What becomes of an answer when it is ready, and all that was asked is done."""
        if self._meant is request and self._after:
            self._event()
        return answer


class EventfulOci(Eventful, OciServer):
    """A registry by the distribution API."""

    def answer(self, request: Request) -> Answer:
        return self.answered(request, super().answer(request))


class EventfulEcr(Eventful, EcrServer):
    """Amazon's."""

    def answer(self, request: Request) -> Answer:
        return self.answered(request, super().answer(request))


def kind_of(called: str) -> str:
    """What a request is for: its method and route, or its operation."""
    method, _, target = called.partition(" ")
    if not target.startswith("/"):
        return method
    parts = target.partition("?")[0].split("/")
    if len(parts) < 5:
        return f"{method} {parts[-1] or 'ping'}"
    named = "digest" if ":" in parts[-1] else "tag"
    return f"{method} {parts[-2]}" if parts[-2] == "tags" else f"{method} {parts[-2]} {named}"


def changes(kind: str) -> bool:
    """Whether requests of this kind change something."""
    return kind.startswith(("DELETE", "PUT", "BatchDelete", "Update"))


class Killing:
    """An event: the run with this pid, as soon as it is known, is killed."""

    def __init__(self) -> None:
        self.pid: Future[int] = Future()

    def __call__(self) -> None:
        os.kill(self.pid.result(timeout=30), signal.SIGKILL)
        raise Killed
