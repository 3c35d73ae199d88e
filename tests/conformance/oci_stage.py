"""The distribution API: simulated in the habits of several servers, and the real docker-registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from janitor.core.manifest import ACCEPT
from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import PAGED_KINDS, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time, visible
from tests.peers.distribution import Distribution
from tests.simulators import oci as flavours
from tests.simulators.access import Access, Scheme
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.upload import upload
from tests.simulators.world import World


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

    def asked(self) -> int:
        return len(self.server.requests)

    def lead_to(self, address: str) -> None:
        self.server.foreign = address

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


def _simulated(
    flavour: Flavour, access: Access | None = None, **keys: Any
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        if access is not None:
            keys.update(username=access.user, password=access.password)
        with OciServer(world, flavour, access=access) as server:
            registry, time = open_registry("oci", memory, endpoint=server.address, **keys)
            yield SimulatedOci(registry, server, time)
            registry.close()

    return open_it


@contextmanager
def _real(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    server: Distribution = request.getfixturevalue("distribution")
    server.empty()
    upload(world, server.address)
    registry, time = open_registry("oci", memory, endpoint=server.address)
    yield RealOci(registry, world, time, server)
    registry.close()


_BEARER = Access(scheme=Scheme.BEARER)
_SHORT = Access(scheme=Scheme.BEARER, uses=25, names=("access_token",))
_BASIC = Access(scheme=Scheme.BASIC)


def _faults(flavour: Flavour) -> Faults:
    # Configurations tell times and labels alone: without them an image is undated, not unlisted. And half a
    # page that says that there are no referrers here says it still.
    harmless = {"/blobs/"} if flavour.referrers else {"/blobs/", "/referrers/"}
    return Faults(
        listing=("/_catalog", "/tags/list", "/manifests/", "/blobs/", "/referrers/"),
        harmless=frozenset(harmless),
        pages=("/_catalog", "/tags/list", "/referrers/"),
        tags="/tags/",
        deleting="DELETE",
        manifests="GET /v2/a/manifests/",
        page_kinds=(*PAGED_KINDS, "foreign-link"),
        tag_kinds=("error", "cut", "cut-json", "reset", *PAGED_KINDS, "foreign-link"),
    )


def _oci(flavour: Flavour, access: Access | None = None, *, faults: bool = False, **can: Any) -> Harness:
    keys = {"deletes_tags": True} if can.get("untags") else {}
    return Harness(
        name=f"oci-{flavour.name}",
        provider="oci",
        open=_simulated(flavour, access, **keys),
        referrers=flavour.referrers,
        collects=flavour.tags_only,
        tokens=access is not None and access.scheme is Scheme.BEARER,
        faults=_faults(flavour) if faults else None,
        remembers=True,
        restores=True,
        **can,
    )


ROWS = (
    _oci(flavours.DISTRIBUTION_2, faults=True),
    _oci(flavours.DISTRIBUTION_3, _SHORT, untags=True, faults=True),
    _oci(flavours.ZOT, _BEARER, untags=True, faults=True),
    _oci(flavours.QUAY, _BEARER, untags=True, faults=True),
    _oci(flavours.HARBOR, _BASIC),
    _oci(flavours.READ_ONLY, deletes=False),
    Harness(
        name="oci-real", provider="oci", open=_real, restores=True, remembers=True, peers=("docker-registry",)
    ),
)
