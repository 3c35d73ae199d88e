"""What a dry run asks of Debian's docker-registry: by kind, cold and warm, and how much at once."""

from __future__ import annotations

import http.client
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.measuring import cost, python
from tests.peers.distribution import serving
from tests.simulators.upload import upload
from tests.simulators.world import World

_IMAGES = 200
# A registry that is not on this machine takes its time; without any, nothing would be in flight at once.
_DELAY = 0.02

_POLICY = """\
version: 1
limits: {{max_percent: 100}}
registries: {{prod: {{provider: oci, endpoint: "{endpoint}"}}}}
policies:
  - name: cleanup
    registries: prod
    repositories: "**"
    rules:
      - keep: {{tags: ["1.*"], newest: 20}}
      - delete: {{tags: ["1.*"], older_than: 14d}}
"""


def measure() -> None:
    """Fill a registry, look at it twice, and print what was asked."""
    world = World()
    for n in range(_IMAGES):
        world.push("team/app", tags=[f"1.{n}"])
    with tempfile.TemporaryDirectory(prefix="janitor-bench-") as name, serving() as registry:
        upload(world, registry.address)
        with _Counting.before(registry.address) as counting:
            policy = Path(name) / "policy.yaml"
            policy.write_text(_POLICY.format(endpoint=counting.endpoint))
            state = str(Path(name) / "state")
            command = python("-m", "janitor", "run", str(policy), "-q", "--state-dir", state)
            for run in ("cold", "warm"):
                cost(command)
                asked = ", ".join(f"{count} {what}" for what, count in sorted(counting.asked.items()))
                print(f"{run} dry run of {_IMAGES} images: {asked}; at most {counting.most} at once")
                counting.forget()


_KINDS = {"manifests": "manifest", "blobs": "config", "tags": "tags", "referrers": "referrers"}


class _Counting(ThreadingHTTPServer):
    """A proxy that passes requests on after a while, and counts them."""

    daemon_threads = True

    def __init__(self, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = origin
        self.asked: Counter[str] = Counter()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def before(cls, endpoint: str) -> Iterator[_Counting]:
        """Stand before a registry."""
        server = cls(endpoint.removeprefix("http://"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def forget(self) -> None:
        """Count from nothing again."""
        self.asked.clear()
        self.most = 0

    @contextmanager
    def in_flight(self, method: str, path: str) -> Iterator[None]:
        """Count one request as long as it lasts."""
        kind = re.search(r"/(manifests|blobs|tags|referrers)/", path)
        with self._lock:
            self.asked[f"{method} {_KINDS[kind[1]] if kind else 'other'}"] += 1
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Counting

    def do_GET(self) -> None:
        with self.server.in_flight(self.command, self.path):
            time.sleep(_DELAY)
            origin = http.client.HTTPConnection(self.server.origin)
            origin.request(self.command, self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
            answer = origin.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "Docker-Content-Digest", "Link"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(body))))
            self.end_headers()
            self.wfile.write(body)
            origin.close()

    do_HEAD = do_GET  # noqa: N815 - the name that the library calls

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked is counted."""
