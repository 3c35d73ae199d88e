"""Artifact Registry, simulated: usual, with slow operations that refuse late, and without children told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import TOLD, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.gar import BARE, LOCATION, PROJECT, SLOW, USUAL, Flavour, GarServer
from tests.simulators.world import World


class SimulatedGar(Stage):
    """A simulated location: the world is what is there now."""

    def __init__(self, registry: Registry, server: GarServer, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def asked(self) -> int:
        return len(self.server.calls) + len(self.server.registry.requests)

    def manifest_reads(self) -> int:
        return len(self.server.registry.asked("GET", "/manifests/")) + len(
            self.server.registry.asked("GET", "/blobs/")
        )


def _simulated(
    flavour: Flavour,
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        with GarServer(world, flavour) as server:
            registry, time = open_registry(
                "gar", memory, project=PROJECT, location=LOCATION, endpoint=server.address
            )
            yield SimulatedGar(registry, server, time)
            registry.close()

    return open_it


def _alone(name: str) -> str:
    """Each in one of the service's repositories of its own, so that what breaks one leaves the others."""
    return name if "/" in name else f"{name}/app"


def _together(name: str) -> str:
    """All in one of the service's repositories, which are listed mixed."""
    return f"all/{name}"


_FAULTS = Faults(
    listing=("ListRepositories", "GetRepository", "ListDockerImages", "/manifests/", "/blobs/"),
    # Configurations tell times and labels alone.
    harmless=frozenset({"/blobs/"}),
    pages=("ListRepositories", "ListDockerImages"),
    tags="GetVersion",
    deleting="DELETE (BatchDeleteVersions|DeleteVersion|DeleteTag)",
    manifests="GET /v2/acme/a/app/manifests/",
)


def _gar(flavour: Flavour, at: Callable[[str], str], **can: Any) -> Harness:
    return Harness(
        name=f"gar-{flavour.name}",
        provider="gar",
        open=_simulated(flavour),
        untags=True,
        untagged=True,
        referrers=True,
        remembers=True,
        tells=TOLD | {"pushed_at"},
        at=at,
        **can,
    )


ROWS = (_gar(USUAL, _alone, faults=_FAULTS), _gar(SLOW, _together), _gar(BARE, _alone))
