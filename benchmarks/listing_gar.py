"""What a listing of Artifact Registry costs: this provider against the plain pager of Google's client.

A server in this process hands out the same pages, made once; each way of listing runs in a process of its own
and says its own processor time. Both end with image objects of the same content.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from benchmarks.measuring import python
from janitor.core.image import Image
from janitor.core.policy import RegistrySpec, Where
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Unit
from janitor.providers.keys import GarKeys

_PAGES, _PAGE = 30, 1000
_PAIRS = 5
_NAMES = 20  # images of so many names are mixed
_SERVICE = "google.devtools.artifactregistry.v1.ArtifactRegistry"
_PARENT = "projects/acme/locations/europe-west1"
_REPOSITORY = f"{_PARENT}/repositories/all"
_URI = "europe-west1-docker.pkg.dev/acme/all"
_INDEX = "application/vnd.oci.image.index.v1+json"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"


def measure() -> None:
    """List in turns, and print the ratio."""
    with _serving() as address:
        ratios = []
        for _ in range(_PAIRS):
            plain, ours = _listed("pager", address), _listed("janitor", address)
            ratios.append(ours / plain)
        pages = f"{_PAGES} pages of {_PAGE} images"
        print(f"gar: {pages}: {ours / _PAGES * 1000:.1f} ms a page, by the client's pager", end=" ")
        print(f"{plain / _PAGES * 1000:.1f} ms: ratio {statistics.median(ratios):.3f} (at most 0.2)")


def _listed(way: str, address: str) -> float:
    command = python("-m", "benchmarks.listing_gar", way, address)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


@contextmanager
def _serving() -> Iterator[str]:
    import grpc  # noqa: PLC0415 - a benchmark that isn't chosen loads none of it
    from google.cloud import artifactregistry_v1 as ar  # noqa: PLC0415 - likewise

    pages = _pages(ar)
    repository = ar.Repository.serialize(
        ar.Repository(name=_REPOSITORY, format_="DOCKER", mode="STANDARD_REPOSITORY", registry_uri=_URI)
    )
    request = ar.ListDockerImagesRequest

    def page(asked: Any, _: Any) -> bytes:
        return pages[request.pb(asked).page_token]

    def handler(fn: Callable[[Any, Any], bytes], reads: Callable[[bytes], Any]) -> Any:
        return grpc.unary_unary_rpc_method_handler(fn, reads, lambda body: body)

    methods: Mapping[str, Any] = {
        "ListDockerImages": handler(page, request.deserialize),
        "GetRepository": handler(lambda *_: repository, lambda body: body),
    }
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def _pages(ar: Any) -> dict[str, bytes]:
    """A tenth are indexes of two platforms, two thirds have two tags."""
    pages = {}
    for number in range(_PAGES):
        following = f"page-{number + 1}" if number + 1 < _PAGES else ""
        response = ar.ListDockerImagesResponse.pb(ar.ListDockerImagesResponse(next_page_token=following))
        for n in range(number * _PAGE, (number + 1) * _PAGE):
            _fill(response.docker_images.add(), n)
        pages[f"page-{number}" if number else ""] = response.SerializeToString()
    return pages


def _fill(image: Any, n: int) -> None:
    name, digest = f"team%2Fapp-{n % _NAMES}", _digest(n)
    image.name = f"{_REPOSITORY}/dockerImages/{name}@{digest}"
    image.uri = f"{_URI}/{name.replace('%2F', '/')}@{digest}"
    if n % 3:
        image.tags.extend((f"1.{n % 30}.{n}", f"sha-{n:07x}"))
    image.upload_time.seconds = image.update_time.seconds = 1_750_000_000 + n
    image.upload_time.nanos = 123_456_000
    if n % 10:
        image.media_type = _IMAGE
        image.image_size_bytes = 50_000_000 + n
        image.build_time.seconds = 1_750_000_000
        return
    image.media_type = _INDEX
    for child in (n + 1, n + 2):
        image.image_manifests.add(digest=_digest(child), media_type=_IMAGE, os="linux", architecture="amd64")


def _digest(n: int) -> str:
    return f"sha256:{n:064x}"


def _by_pager(address: str) -> int:
    """Go through the client's pager, and make an image of each."""
    import grpc  # noqa: PLC0415 - as above
    from google.cloud import artifactregistry_v1 as ar  # noqa: PLC0415 - likewise
    from google.cloud.artifactregistry_v1.services.artifact_registry import transports  # noqa: PLC0415

    options = [("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(address.removeprefix("http://"), options=options)
    client = ar.ArtifactRegistryClient(transport=transports.ArtifactRegistryGrpcTransport(channel=channel))
    pager = client.list_docker_images(request={"parent": _REPOSITORY, "page_size": _PAGE})
    return sum(len(images) for images in _grouped(pager).values())


def _grouped(pager: Any) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = {}
    for raw in pager:
        name, _, digest = raw.uri.removeprefix(f"{_URI}/").partition("@")
        image = Image(
            digest=digest,
            tags=tuple(raw.tags),
            media_type=raw.media_type,
            artifact_type=raw.artifact_type or None,
            pushed_at=_time(raw.upload_time),
            created_at=_time(raw.build_time),
            size_bytes=raw.image_size_bytes or None,
            children=tuple(child.digest for child in raw.image_manifests) if raw.image_manifests else UNSET,
            changed_at=_time(raw.update_time),
        )
        found.setdefault(name, []).append(image)
    return found


def _time(moment: Any) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment.timestamp(), UTC)


def _by_janitor(address: str) -> int:
    """List by the provider."""
    keys = GarKeys(project="acme", location="europe-west1", endpoint=address)
    spec = RegistrySpec(name="prod", provider="gar", where=Where(file="bench.yaml", line=1), keys=keys)
    registry = PROVIDERS["gar"].open(spec, Context(environ={}))
    listings = registry.list(Unit(name="all", many=True), frozenset())
    return sum(len(listing.images) for listing in listings)


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 50)  # as in a run
    ways = {"pager": _by_pager, "janitor": _by_janitor}
    way, address = sys.argv[1:]
    ways[way](address)  # once before: what loading takes isn't listing
    begun = time.process_time()
    counted = ways[way](address)
    spent = time.process_time() - begun
    if counted != _PAGES * _PAGE:
        sys.exit(f"{counted} images were listed")
    print(spent)
    sys.stdout.flush()
    os._exit(0)  # channels are left to the machine
