"""Clients of a real registry that push, move tags and attest as builds do, and know what they placed.

Each client has images of its own in repositories that all share. Some tags are protected by the policy, the
others may go as soon as they are there.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from janitor.core.manifest import ACCEPT
from tests.simulators.truth import Held
from tests.simulators.world import ARM64, World

REPOSITORIES = ("team/api", "team/web")
# Registries ask that what an index names is there; who is told otherwise pushes all of it again.
_ATTEMPTS = 20
# Between two pushes of a client, on average: else the registry has no time for anybody.
_PAUSE_S = 1.0


class Placement(msgspec.Struct, kw_only=True):
    """A protected tag on an image: since when it is there for certain, and until when it was left there."""

    repository: str
    tag: str
    digest: str
    needs: frozenset[str]
    since: datetime
    until: datetime | None = None


class Client:
    """One builder, with a connection and a world of its own; ``pushed`` are all of its manifests."""

    def __init__(self, number: int, host: str, stop: threading.Event) -> None:
        self.placements: list[Placement] = []
        self.pushed: set[tuple[str, str]] = set()
        self._number = number
        self._connection = http.client.HTTPConnection(host, timeout=20)
        self._stop = stop
        self._random = random.Random(number)  # noqa: S311 - what it chooses is no secret
        self._world = World(_now())
        self._serial = 0
        self._builds: list[tuple[str, str]] = []

    def work(self) -> None:
        """Build until it is enough."""
        tasks: Sequence[Callable[[], None]] = (self._build, self._build, self._promote, self._release)
        while not self._stop.wait(self._random.expovariate(1 / _PAUSE_S)):
            self._random.choice(tasks)()
        self._connection.close()

    def _build(self) -> None:
        """Push an image, or an index of which a platform may be an older one, under a tag that may go."""
        repository = self._random.choice(REPOSITORIES)
        digest = self._index(repository) if self._random.random() < 0.7 else self._image(repository)
        self._serial += 1
        self._push(repository, digest, f"pr-{self._number}-{self._serial}")
        self._builds.append((repository, digest))
        if self._random.random() < 0.3:
            self._attest(repository, digest)

    def _promote(self) -> None:
        """Place a protected tag on a build, if it is there still."""
        if not self._builds:
            return
        repository, digest = self._random.choice(self._builds[-4:])
        status, _ = self._ask("GET", f"/v2/{repository}/manifests/{digest}", headers={"Accept": ACCEPT})
        if status == 200 and self._random.random() < 0.5:
            self._place(repository, digest, f"stable-{self._number}-{self._random.randrange(3)}")

    def _release(self) -> None:
        """Push a new image whole, under a tag that no rule takes."""
        repository = self._random.choice(REPOSITORIES)
        digest = self._index(repository)
        self._serial += 1
        self._place(repository, digest, f"{self._number}.{self._serial}.0")
        self._attest(repository, digest)

    def _place(self, repository: str, digest: str, tag: str) -> None:
        moved = _now()
        self._push(repository, digest, tag)
        for placement in self.placements:
            if (placement.repository, placement.tag, placement.until) == (repository, tag, None):
                placement.until = moved
        needs = frozenset({digest, *self._world[repository].manifests[digest].children})
        placed = Placement(repository=repository, tag=tag, digest=digest, needs=needs, since=_now())
        self.placements.append(placed)

    def _image(self, repository: str, **fields: object) -> str:
        self._serial += 1
        text = f"{self._number} {self._serial}"
        return self._world.push(repository, text=text, created="50d", **fields)  # type: ignore[arg-type]  # platform

    def _index(self, repository: str) -> str:
        older = (
            [
                digest
                for digest, held in self._world.repositories[repository].manifests.items()
                if held.platform == ARM64
            ]
            if repository in self._world.repositories
            else []
        )
        arm = self._random.choice(older[-3:]) if older and self._random.random() < 0.3 else None
        children = [self._image(repository), arm or self._image(repository, platform=ARM64)]
        return self._world.push_index(repository, children=children, created="50d")

    def _attest(self, repository: str, digest: str) -> None:
        """Sign by both schemes."""
        before = dict(self._world[repository].tags)
        self._world.sign(repository, digest)
        self._world.refer(repository, digest, fallback=True)
        for tag, named in self._world[repository].tags.items():
            if before.get(tag) != named:
                self._push(repository, named, tag)

    def _push(self, repository: str, digest: str, tag: str) -> None:
        """Push an image whole, what it names first, and its tag last; what is there already is left out."""
        held = self._world[repository].manifests[digest]
        for _ in range(_ATTEMPTS):
            for child in held.children:
                self._push_alone(repository, self._world[repository].manifests[child])
            self._push_blobs(repository, held)
            if self._put(repository, tag, held):
                self.pushed.add((repository, digest))
                return
        raise AssertionError(f"{repository}:{tag} could not be pushed")

    def _push_alone(self, repository: str, held: Held) -> None:
        target = f"/v2/{repository}/manifests/{held.digest}"
        if self._ask("HEAD", target, headers={"Accept": ACCEPT})[0] == 200:
            return
        self._push_blobs(repository, held)
        assert self._put(repository, held.digest, held)
        self.pushed.add((repository, held.digest))

    def _push_blobs(self, repository: str, held: Held) -> None:
        for digest in held.blobs:
            if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}")[0] == 200:
                continue
            status, headers = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
            assert status == 202
            parts = urlsplit(headers["location"])
            place = f"{parts.path}?{parts.query}&digest={digest}"
            octets = {"Content-Type": "application/octet-stream"}
            assert self._ask("PUT", place, self._world.blobs[digest], octets)[0] == 201

    def _put(self, repository: str, reference: str, held: Held) -> bool:
        """Push a manifest; false where the registry misses something that it names."""
        target = f"/v2/{repository}/manifests/{reference}"
        status, _ = self._ask("PUT", target, held.body, {"Content-Type": held.media_type})
        assert status in (201, 400, 404), (status, target)
        return status == 201

    def _ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        self._connection.request(method, target, body, headers or {})
        response = self._connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}


class Crowd:
    """So many clients, at work from when it is entered until it is left."""

    def __init__(self, host: str, count: int) -> None:
        self._stop = threading.Event()
        self.clients = [Client(number, host, self._stop) for number in range(count)]
        self._pool = ThreadPoolExecutor(count)
        self._working = [self._pool.submit(client.work) for client in self.clients]

    def end(self) -> None:
        """Let everybody end what it does; raises what went wrong."""
        self._stop.set()
        self._pool.shutdown()
        for each in self._working:
            each.result()

    @property
    def placements(self) -> Iterator[Placement]:
        """Every protected tag that was placed."""
        return (placement for client in self.clients for placement in client.placements)

    @property
    def pushed(self) -> set[tuple[str, str]]:
        """Every manifest that was pushed."""
        return set().union(*(client.pushed for client in self.clients))


def absent(host: str, images: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these images a registry doesn't hold."""
    connection = http.client.HTTPConnection(host, timeout=20)
    gone = set()
    for repository, digest in images:
        connection.request("HEAD", f"/v2/{repository}/manifests/{digest}", headers={"Accept": ACCEPT})
        response = connection.getresponse()
        response.read()
        if response.status == 404:
            gone.add((repository, digest))
    connection.close()
    return gone


def _now() -> datetime:
    return datetime.now(UTC)
