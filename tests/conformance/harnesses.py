"""One row a provider: how a world is made real for it, and what can be asked of it then.

A new provider is a row here, beside its row in ``PROVIDERS``; every suite of this folder then runs on it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from janitor.core.manifest import ACCEPT
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Forgetful, ManifestMemory, Registry
from tests.conformance.stages import Stage, Time, visible
from tests.factories import registry_spec
from tests.peers.distribution import Distribution
from tests.simulators import oci as flavours
from tests.simulators.access import Access, Scheme
from tests.simulators.content import OCI_INDEX, encode
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.truth import Repository
from tests.simulators.upload import upload
from tests.simulators.world import World


class Harness(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider is tried.

    ``deletes``, ``untags``: really, not only in plans. ``untagged``: what nothing names is listed too.
    ``referrers``: the registry tells them itself; else clients keep the fallback tag. ``collects``: what has
    no tag is the registry's own to delete, and refused to others. ``tokens``: a token server gives them out.
    ``faults``: what goes wrong is tried here.
    ``remembers``: what was read of manifests is kept by a memory. ``peers``: real programs that must be
    installed.
    """

    name: str
    provider: str
    open: Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]
    deletes: bool = True
    untags: bool = False
    untagged: bool = False
    referrers: bool = False
    collects: bool = False
    tokens: bool = False
    faults: bool = False
    remembers: bool = False
    peers: tuple[str, ...] = ()

    def visible(self, world: World, repository: str) -> frozenset[str]:
        """The digests that a listing of the repository must hold."""
        return visible(world, repository, untagged=self.untagged, referrers=self.referrers)


class SimulatedOci(Stage):
    """A simulated registry: the world is what is there now."""

    def __init__(self, registry: Registry, server: OciServer, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        if self.server.flavour.tags_only:
            # What has no tag waits for the registry's own collection, and is gone for everybody else.
            return visible(self.world, repository, untagged=False, referrers=True)
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def manifest_reads(self) -> int:
        absent = {digest for place in self.world.repositories.values() for digest in place.absent}
        read = self.server.asked("GET", "/manifests/") + self.server.asked("GET", "/blobs/")
        return sum(target.rpartition("/")[2] not in absent for target in read)


class RealOci(Stage):
    """The real docker-registry, asked by HEAD."""

    def __init__(self, registry: Registry, world: World, time: Time, server: Distribution) -> None:
        super().__init__(registry, world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(
            digest
            for digest in self.world[repository].manifests
            if self.server.head(f"/v2/{repository}/manifests/{digest}", ACCEPT)[0] == 200
        )

    def tags(self, repository: str) -> Mapping[str, str]:
        answers = {
            tag: self.server.head(f"/v2/{repository}/manifests/{tag}", ACCEPT)
            for tag in self.world[repository].tags
        }
        return {tag: digest for tag, (_, digest) in answers.items() if digest is not None}


class Layout(Stage):
    """Image layouts in a folder."""

    def __init__(self, registry: Registry, world: World, time: Time, folder: Path) -> None:
        super().__init__(registry, world, time)
        self.folder = folder

    def held(self, repository: str) -> frozenset[str]:
        blobs = self.folder / repository / "blobs" / "sha256"
        return frozenset(
            digest
            for digest in self.world[repository].manifests
            if (blobs / digest.removeprefix("sha256:")).exists()
        )

    def tags(self, repository: str) -> Mapping[str, str]:
        index = json.loads((self.folder / repository / "index.json").read_bytes())
        return {
            descriptor["annotations"][_REF_NAME]: descriptor["digest"]
            for descriptor in index["manifests"]
            if _REF_NAME in descriptor.get("annotations", {})
        }


class File(Stage):
    """A file that was written down: nothing can be done to it."""

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)


def _open(
    provider: str, memory: ManifestMemory, environ: Mapping[str, str] | None = None, **keys: Any
) -> tuple[Registry, Time]:
    time = Time()
    context = Context(
        environ=environ or dict(os.environ),
        concurrency=4,
        memory=memory,
        sleep=time.sleep,
        clock=time.clock,
        random=lambda: 1.0,
    )
    row = PROVIDERS[provider]
    return row.open(registry_spec("prod", provider, row.keys(**keys)), context), time


def _simulated(
    flavour: Flavour, access: Access | None = None, **keys: Any
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        if access is not None:
            keys.update(username=access.user, password=access.password)
        with OciServer(world, flavour, access=access) as server:
            registry, time = _open("oci", memory, endpoint=server.address, **keys)
            yield SimulatedOci(registry, server, time)
            registry.close()

    return open_it


@contextmanager
def _real(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    server: Distribution = request.getfixturevalue("distribution")
    server.empty()
    upload(world, server.address)
    registry, time = _open("oci", memory, endpoint=server.address)
    yield RealOci(registry, world, time, server)
    registry.close()


_REF_NAME = "org.opencontainers.image.ref.name"


@contextmanager
def _layout(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    folder: Path = request.getfixturevalue("tmp_path") / "layouts"
    for name, repository in world.repositories.items():
        write_layout(folder / name, repository, world)
    registry, time = _open("oci-layout", memory, path=folder)
    yield Layout(registry, world, time, folder)
    registry.close()


def write_layout(folder: Path, repository: Repository, world: World) -> None:
    """One layout: a descriptor a tag, and one for what neither a tag nor an index names."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for held in repository.manifests.values():
        contents = {held.digest: held.body} | {blob: world.blobs[blob] for blob in held.blobs}
        for digest, data in contents.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    named = [
        held.descriptor(annotations={_REF_NAME: tag})
        for held in repository.manifests.values()
        for tag in sorted(repository.tags_of(held.digest))
    ]
    unnamed = [
        held.descriptor()
        for held in repository.manifests.values()
        if not repository.tags_of(held.digest) and not repository.holders_of(held.digest)
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named + unnamed}
    (folder / "index.json").write_bytes(encode(index))
    (folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
    # Writers put blobs first and the index last: what is young may belong to one of them.
    past = world.now.timestamp() - 86_400 * 30
    for path in folder.rglob("*"):
        os.utime(path, (past, past))


@contextmanager
def _inventory(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    path: Path = request.getfixturevalue("tmp_path") / "inventory.jsonl"
    lines = (
        _line(name, repository, digest)
        for name, repository in world.repositories.items()
        for digest in repository.manifests
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    registry, time = _open("inventory", memory, path=path)
    yield File(registry, world, time)
    registry.close()


def _line(name: str, repository: Repository, digest: str) -> dict[str, Any]:
    held = repository.manifests[digest]
    return {
        "registry": "prod",
        "repository": name,
        "digest": digest,
        "tags": sorted(repository.tags_of(digest)),
        "media_type": held.media_type,
        "artifact_type": held.artifact_type,
        "type": held.type,
        "created_at": None if held.created_at is None else held.created_at.isoformat(),
        "size_bytes": held.size_bytes,
        "children": list(held.children),
        "subject": held.subject,
        "labels": dict(held.labels),
    }


_BEARER = Access(scheme=Scheme.BEARER)
_SHORT = Access(scheme=Scheme.BEARER, uses=25, names=("access_token",))
_BASIC = Access(scheme=Scheme.BASIC)


def _oci(flavour: Flavour, access: Access | None = None, **can: Any) -> Harness:
    keys = {"deletes_tags": True} if can.get("untags") else {}
    return Harness(
        name=f"oci-{flavour.name}",
        provider="oci",
        open=_simulated(flavour, access, **keys),
        referrers=flavour.referrers,
        collects=flavour.tags_only,
        tokens=access is not None and access.scheme is Scheme.BEARER,
        remembers=True,
        **can,
    )


_ROWS = (
    _oci(flavours.DISTRIBUTION_2, faults=True),
    _oci(flavours.DISTRIBUTION_3, _SHORT, untags=True, faults=True),
    _oci(flavours.ZOT, _BEARER, untags=True, faults=True),
    _oci(flavours.QUAY, _BEARER, untags=True, faults=True),
    _oci(flavours.HARBOR, _BASIC),
    _oci(flavours.READ_ONLY, deletes=False),
    Harness(name="oci-real", provider="oci", open=_real, remembers=True, peers=("docker-registry",)),
    Harness(name="oci-layout", provider="oci-layout", open=_layout, untags=True, untagged=True),
    Harness(name="inventory", provider="inventory", open=_inventory, deletes=False, untagged=True),
)

HARNESSES: Mapping[str, tuple[Harness, ...]] = {
    provider: tuple(row for row in _ROWS if row.provider == provider)
    for provider in dict.fromkeys(row.provider for row in _ROWS)
}


def on(**abilities: bool) -> pytest.MarkDecorator:
    """Run a test on every harness that has these abilities."""
    chosen = [row for row in _ROWS if all(getattr(row, name) is value for name, value in abilities.items())]
    return pytest.mark.parametrize(
        "harness",
        [
            pytest.param(row, id=row.name, marks=[pytest.mark.peer(*row.peers)] if row.peers else [])
            for row in chosen
        ],
    )


FORGETFUL = Forgetful()
