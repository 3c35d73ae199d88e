"""What a listing of ECR costs: this provider against boto3's own paginator, and how well it keeps its pace.

A server in this process hands out pages that are made once; each way of listing runs in a process of its own
and says its own processor time. Both end with image objects of the same content. For the pace the server
answers after a while, as one that is not on this machine, and throttles who asks faster than is agreed.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from benchmarks.measuring import python
from janitor.core.image import Image
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.policy import RegistrySpec, Where
from janitor.listing import listings
from janitor.premises import Opened
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Listing, RepositoryFilter, Unit
from janitor.providers.keys import EcrKeys

_PAGES, _PAGE = 30, 1000
_PAIRS = 5
_REPOSITORIES = 1000
_LATENCY = 0.1
# What a run asks of the default pace takes 100 s; the provider's own is said by BENCH_PACE=10.
_PACE = float(os.environ.get("BENCH_PACE", "50"))
_REGION, _ACCOUNT = "eu-west-1", "123456789012"
_ENVIRON = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
_TYPE = "application/vnd.oci.image.manifest.v1+json"
_EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))


def measure() -> None:
    """List in turns, and print the ratio; then list slowly, and print how long it took."""
    with _serving(_long()) as server:
        ratios = []
        for _ in range(_PAIRS):
            plain, ours = _told("paginator", server), _told("janitor", server)
            ratios.append(ours / plain)
        pages = f"{_PAGES} pages of {_PAGE} images"
        print(f"ecr: {pages}: {ours / _PAGES * 1000:.1f} ms a page, by boto3's paginator", end=" ")
        print(f"{plain / _PAGES * 1000:.1f} ms: ratio {statistics.median(ratios):.3f} (at most 0.2)")
    with _serving(_wide(), latency=_LATENCY, pace=_PACE) as server:
        took = _told("pace", server)
        demanded = server.asked / _PACE
        many = f"{_REPOSITORIES} repositories of {_PAGE} images"
        print(f"ecr: {many} at {_PACE:g} requests a second, {_LATENCY:g} s each: {took:.1f} s", end=" ")
        print(f"for {demanded:.1f} s demanded: ratio {took / demanded:.2f} (at most 1.2)", end=", ")
        print(f"{server.throttled / server.asked:.2%} throttled (under 1%)")


def _told(way: str, server: _Server) -> float:
    command = python("-m", "benchmarks.listing_ecr", way, server.address)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | _ENVIRON)
    return float(done.stdout)


class _Pages(NamedTuple):
    """Bodies: of the repositories, and of the images by token."""

    repositories: bytes
    images: dict[str, bytes]


def _long() -> _Pages:
    """One repository of many pages."""
    images = {}
    for number in range(_PAGES):
        page: dict[str, Any] = {"imageDetails": [_detail(number * _PAGE + n) for n in range(_PAGE)]}
        if number + 1 < _PAGES:
            page["nextToken"] = f"page-{number + 1}"
        images[f"page-{number}" if number else ""] = json.dumps(page).encode()
    return _Pages(_catalogue(1), images)


def _wide() -> _Pages:
    """Many repositories of one page, the same."""
    page = {"imageDetails": [_detail(n) for n in range(_PAGE)]}
    return _Pages(_catalogue(_REPOSITORIES), {"": json.dumps(page).encode()})


def _catalogue(repositories: int) -> bytes:
    names = [
        {"registryId": _ACCOUNT, "repositoryName": f"team/app-{n:04}", "imageTagMutability": "MUTABLE"}
        for n in range(repositories)
    ]
    return json.dumps({"repositories": names}).encode()


def _detail(n: int) -> dict[str, Any]:
    """Two thirds have two tags, half were pulled."""
    detail: dict[str, Any] = {
        "registryId": _ACCOUNT,
        "repositoryName": "team/app-0000",
        "imageDigest": f"sha256:{n:064x}",
        "imageSizeInBytes": 50_000_000 + n,
        "imagePushedAt": 1_750_000_000.5 + n,
        "imageManifestMediaType": _TYPE,
        "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        "imageStatus": "ACTIVE",
    }
    if n % 3:
        detail["imageTags"] = [f"1.{n % 30}.{n}", f"sha-{n:07x}"]
    if n % 2:
        detail["lastRecordedPullTime"] = 1_755_000_000.25 + n
    return detail


class _Server(ThreadingHTTPServer):
    """Answers from what is ready; a bucket of a second's requests is what it lets through."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: _Pages, latency: float, pace: float | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.latency = latency
        self.asked = self.throttled = 0
        self._pace = pace
        self._tokens = pace or 0.0
        self._filled = time.monotonic()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def lets_through(self) -> bool:
        """Whether one more request is within the pace."""
        with self._lock:
            self.asked += 1
            if self._pace is None:
                return True
            now = time.monotonic()
            self._tokens = min(self._pace, self._tokens + (now - self._filled) * self._pace)
            self._filled = now
            if self._tokens < 1:
                self.throttled += 1
                return False
            self._tokens -= 1
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.latency)
        if not self.server.lets_through():
            self._send(400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
        elif self.headers["X-Amz-Target"].endswith("DescribeRepositories"):
            self._send(200, self.server.pages.repositories)
        else:
            self._send(200, self.server.pages.images[asked.get("nextToken", "")])

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked is counted."""


@contextmanager
def _serving(pages: _Pages, latency: float = 0.0, pace: float | None = None) -> Iterator[_Server]:
    server = _Server(pages, latency, pace)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _by_paginator(address: str) -> float:
    """Go through boto3's paginator, and make an image of each; the processor time is returned."""
    import boto3  # noqa: PLC0415 - a benchmark that isn't chosen loads none of it

    client = boto3.client("ecr", region_name=_REGION, endpoint_url=address)

    def listed() -> int:
        paginator = client.get_paginator("describe_images")
        pages = paginator.paginate(
            repositoryName="team/app-0000",
            filter={"imageStatus": "ANY"},
            PaginationConfig={"PageSize": _PAGE},
        )
        return len([_image(detail) for page in pages for detail in page["imageDetails"]])

    return _timed(listed)


def _image(detail: dict[str, Any]) -> Image:
    pulled = detail.get("lastRecordedPullTime")
    return Image(
        digest=detail["imageDigest"],
        tags=tuple(detail.get("imageTags", ())),
        media_type=detail["imageManifestMediaType"],
        pushed_at=detail["imagePushedAt"].astimezone(UTC),
        pulled_at=None if pulled is None else pulled.astimezone(UTC),
        size_bytes=detail["imageSizeInBytes"],
        children=(),
    )


def _by_janitor(address: str) -> float:
    """List by the provider; the processor time is returned."""
    registry = _opened(address, pace=1e6).registry

    def listed() -> int:
        found = registry.list(Unit(name="team/app-0000"), frozenset())
        return sum(len(listing.images) for listing in found)

    return _timed(listed)


def _timed(listed: Any) -> float:
    listed()  # once before: what loading takes isn't listing
    begun = time.process_time()
    if listed() != _PAGES * _PAGE:
        sys.exit("not all images were listed")
    return time.process_time() - begun


def _at_pace(address: str) -> float:
    """List all repositories as a run does; how long it took is returned."""
    opened = _opened(address, pace=_PACE)
    begun = time.monotonic()
    images = 0
    for _, event in listings(opened, threading.Event()):
        if not isinstance(event, Listing):
            raise event
        images += len(event.images)
    if images != _REPOSITORIES * _PAGE:
        sys.exit(f"{images} images were listed")
    return time.monotonic() - begun


def _opened(address: str, pace: float) -> Opened:
    spec = RegistrySpec(
        name="prod",
        provider="ecr",
        where=Where(file="bench.yaml", line=1),
        keys=EcrKeys(region=_REGION, endpoint=address),
        requests_per_second=pace,
    )
    registry = PROVIDERS["ecr"].open(spec, Context(environ=_ENVIRON))
    return Opened(spec=spec, registry=registry, only=_EVERYTHING, wanted=frozenset())


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 50)  # as in a run
    ways = {"paginator": _by_paginator, "janitor": _by_janitor, "pace": _at_pace}
    print(ways[sys.argv[1]](sys.argv[2]))
