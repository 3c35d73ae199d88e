"""Azure Container Registry, simulated: the identity found by azure-identity itself, or a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import PAGED_KINDS, TOLD, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.acr import SERVICE, SOFT, AcrFlavour, AcrServer
from tests.simulators.acr_access import AcrAccess
from tests.simulators.world import World


class SimulatedAcr(Stage):
    """A simulated registry: the world is what is there now."""

    def __init__(self, registry: Registry, server: AcrServer, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def asked(self) -> int:
        return len(self.server.requests)

    def lead_to(self, address: str) -> None:
        self.server.foreign = address

    def manifest_reads(self) -> int:
        return len(self.server.asked("GET", "/manifests/")) + len(self.server.asked("GET", "/blobs/"))


def _simulated(
    flavour: AcrFlavour, *, password: bool = False
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        with AcrServer(world, flavour) as server:
            access = flavour.access
            who: dict[str, Any] = {"username": access.user, "password": access.password} if password else {}
            registry, time = open_registry(
                "acr", memory, server.environ, registry=SERVICE, endpoint=server.address, **who
            )
            yield SimulatedAcr(registry, server, time)
            registry.close()

    return open_it


_FAULTS = Faults(
    listing=(
        "/oauth2/exchange",
        "/oauth2/token",
        "/_catalog",
        r"GET /acr/v1/\w+$",
        r"/_manifests\?",
        r"/_tags\?",
        r"GET /v2/\w+/manifests/",
        "/blobs/",
    ),
    # Without configurations an image is undated, not unlisted; they aren't exchanged for twice.
    harmless=frozenset({"/blobs/"}),
    pages=("/_catalog", r"/_manifests\?", r"/_tags\?"),
    tags="/_manifests/",
    deleting="DELETE",
    manifests="GET /v2/a/manifests/",
    page_kinds=(*PAGED_KINDS, "foreign-link"),
)
# Rights by repository, and tokens that are spent after some requests.
_BY_REPOSITORY = AcrFlavour(name="abac", soft_delete=True, access=AcrAccess(abac=True, uses=25))


def _acr(name: str, flavour: AcrFlavour, *, password: bool = False, faults: Faults | None = None) -> Harness:
    return Harness(
        name=name,
        provider="acr",
        open=_simulated(flavour, password=password),
        untags=True,
        untagged=True,
        # Soft delete is on in all of these: whether it is, a registry tells only when it is asked.
        restores=True,
        referrers=True,
        remembers=True,
        tells=TOLD | {"pushed_at"},
        faults=faults,
    )


ROWS = (
    _acr("acr", SOFT, faults=_FAULTS),
    _acr("acr-by-repository", _BY_REPOSITORY),
    _acr("acr-password", SOFT, password=True),
)
