"""The real docker-registry, on a free loopback port and a folder of its own."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """A running registry; ``folder`` is where it keeps everything."""

    host: str
    folder: Path

    @property
    def address(self) -> str:
        return f"http://{self.host}"

    def empty(self) -> None:
        """Take everything away: the running server keeps nothing in memory."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def head(self, target: str, accept: str) -> tuple[int, str | None]:
        """The status, and the digest if there is one."""
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request("HEAD", target, headers={"Accept": accept})
            response = connection.getresponse()
            response.read()
            return response.status, response.getheader("Docker-Content-Digest")
        finally:
            connection.close()


# It syncs each of its many small files to disk: in memory that is ten times faster.
_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of a random name is made in it


@contextmanager
def serving() -> Iterator[Distribution]:
    """Start the registry with deletion on, and stop it by its process at the end."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        yield from _serving(Path(folder))


def _serving(folder: Path) -> Iterator[Distribution]:
    data = folder / "data"
    settings = folder / "config.yml"
    settings.write_text(
        "version: 0.1\n"
        "log: {level: info, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}\n"
        'http: {addr: "127.0.0.1:0", secret: test}\n'
    )
    command = ["docker-registry", "serve", str(settings)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={}
    ) as process:
        try:
            assert process.stderr is not None
            host = _address(process.stderr)
            # Whatever else it says must be read, or it stops when the pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Distribution(host=host, folder=data)
        finally:
            process.kill()


def _address(log: Iterator[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if found := _LISTENING.search(line):
            return found[1]
    raise RuntimeError(f"docker-registry did not start:\n{''.join(said)}")
