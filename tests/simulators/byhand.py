"""Simulators as programs: started as a person starts them, talked to by whatever speaks their protocol."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator that runs: its address, and what it said of itself after it."""

    address: str
    facts: Mapping[str, str]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What plain urllib was told."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def started(
    folder: Path,
    protocol: str,
    repositories: Mapping[str, Any] | None = None,
    *options: str,
    stop: signal.Signals = signal.SIGTERM,
    lines: int = 1,
) -> Iterator[Hand]:
    """Start one over these repositories, and end it by a signal: it must end well, and say nothing more.

    ``lines``: how many it says; they are there at once, however long it goes on.
    """
    command = [sys.executable, "-m", "tests.simulators", protocol, *options]
    if repositories is not None:
        world = folder / "world.yaml"
        world.write_text(yaml.safe_dump({"repositories": repositories}))
        command += ["--world", str(world)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address, *more = [process.stdout.readline().removesuffix("\n") for _ in range(lines)]
            pairs = (line.partition(": ") for line in more)
            yield Hand(address=address, facts={name: value for name, _, value in pairs})
        finally:
            process.send_signal(stop)
            said, complaints = process.communicate(timeout=20)
    assert (process.returncode, said, complaints) == (0, "", "")


def ask(
    url: str,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """What a plain script asks; a body is sent as JSON unless it is bytes."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    said = {"Content-Type": "application/json", "User-Agent": "a script"} | dict(headers or {})
    request = urllib.request.Request(url, data=data, headers=said, method=method)  # noqa: S310 - to a loopback port
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as above
            return Reply(status=response.status, headers=dict(response.headers), body=response.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return Reply(status=exc.code, headers=dict(exc.headers), body=exc.read())
