"""`janitor serve`, the real program, over a simulated registry with names that somebody evil chose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

_SHOWS = re.compile(r"(http://127\.0\.0\.1:\d+)/ shows the runs")


class Serving:
    """A running daemon. ``said`` are the lines of its log so far."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address
        self.said: list[str] = []
        self._heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()

    def wait_for(self, word: str, *, times: int = 1) -> None:
        """Wait until so many lines of the log have this word."""
        with self._heard:
            heard = self._heard.wait_for(lambda: sum(word in line for line in self.said) >= times, timeout=60)
        assert heard, f"it never said {word}:\n{''.join(self.said)}"


@contextmanager
def serving(policies: Path, *options: str) -> Iterator[Serving]:
    """Start it on a free port, and kill it at the end if it lives still."""
    command = [sys.executable, "-m", "janitor", "serve", str(policies), "--listen", "127.0.0.1:0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            yield Serving(process, _address(process.stderr))
        finally:
            process.kill()


def write_policies(
    folder: Path, endpoint: str, schedules: Sequence[dict[str, object]], *, rules: Sequence[object] = ()
) -> Path:
    path = folder / "policies.yaml"
    usual = [{"name": "pull-requests", "delete": {"tags": ["pr-*"], "older_than": "14d"}}]
    document = {
        "version": 1,
        "registries": {"prod": {"provider": "oci", "endpoint": endpoint}},
        "limits": {"max_percent": 100},
        "schedules": list(schedules),
        "policies": [
            {"name": "cleanup", "registries": "*", "repositories": "**", "rules": list(rules) or usual}
        ],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def _address(log: Iterator[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if found := _SHOWS.search(line):
            return found[1]
    raise RuntimeError(f"it did not start:\n{''.join(said)}")
