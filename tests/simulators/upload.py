"""Copies a world into a real registry, by the plain calls of the distribution API."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tests.simulators.truth import Held, Repository
from tests.simulators.world import World


def upload(world: World, endpoint: str, *, prefix: str = "") -> None:
    """Put every blob, manifest and tag of the world there; what the world forgot is deleted again.

    ``prefix`` is put before the names of repositories, so that tests can share one registry.
    """
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
    for name, repository in world.repositories.items():
        target = f"/v2/{prefix}{name}"
        held = list(_children_first(repository))
        for digest in sorted({blob for each in held for blob in each.blobs}):
            _put_blob(connection, target, digest, world.blobs[digest])
        for each in held:
            _put_manifest(connection, f"{target}/manifests/{each.digest}", each)
        for tag, digest in repository.tags.items():
            _put_manifest(connection, f"{target}/manifests/{tag}", repository.manifests[digest])
        for digest in repository.absent:
            _ask(connection, "DELETE", f"{target}/manifests/{digest}", expect=202)
    connection.close()


def _children_first(repository: Repository) -> Iterator[Held]:
    """What an index names before the index, as registries demand it."""
    everything = repository.absent | repository.manifests
    given: set[str] = set()

    def give(held: Held) -> Iterator[Held]:
        if held.digest in given:
            return
        given.add(held.digest)
        for child in held.children:
            if child in everything:
                yield from give(everything[child])
        yield held

    for each in everything.values():
        yield from give(each)


def _put_blob(connection: http.client.HTTPConnection, target: str, digest: str, data: bytes) -> None:
    place = _ask(connection, "POST", f"{target}/blobs/uploads/", expect=202)["location"]
    parts = urlsplit(place)
    query = f"{parts.query}&digest={digest}".lstrip("&")
    octets = {"Content-Type": "application/octet-stream"}
    _ask(connection, "PUT", f"{parts.path}?{query}", data, octets, expect=201)


def _put_manifest(connection: http.client.HTTPConnection, target: str, held: Held) -> None:
    _ask(connection, "PUT", target, held.body, {"Content-Type": held.media_type}, expect=201)


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    expect: int,
) -> dict[str, str]:
    connection.request(method, target, body, dict(headers or {}))
    response = connection.getresponse()
    text = response.read()
    if response.status != expect:
        raise RuntimeError(f"{method} {target}: {response.status} {text!r}")
    return {name.lower(): value for name, value in response.getheaders()}
