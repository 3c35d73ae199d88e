"""Docker Hub, simulated: the Hub API and the registry over one world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import PAGED_KINDS, TOLD, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.dockerhub import NAMESPACE, OLD, PERSONAL, TEAM, DockerHub, Plan, serving
from tests.simulators.world import World


class SimulatedHub(Stage):
    """The world is what is there now."""

    def __init__(self, registry: Registry, server: DockerHub, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def asked(self) -> int:
        return len(self.server.requests)

    def lead_to(self, address: str) -> None:
        self.server.lead_to(address)

    def manifest_reads(self) -> int:
        absent = {digest for place in self.world.repositories.values() for digest in place.absent}
        read = self.server.asked("GET", "/manifests/") + self.server.asked("GET", "/blobs/")
        return sum(target.rpartition("/")[2] not in absent for target in read)


def _simulated(
    plan: Plan,
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        with serving(world, plan) as server:
            registry, time = open_registry(
                "dockerhub",
                memory,
                namespace=NAMESPACE,
                username=plan.user,
                token=plan.secret,
                endpoint=server.address,
                registry_endpoint=server.registry_address,
            )
            server.hub.clock = lambda: world.now + timedelta(seconds=time.clock())
            yield SimulatedHub(registry, server, time)
            registry.close()

    return open_it


_PAGES = (r"/repositories\?", r"/tags\?")
_FAULTS = Faults(
    listing=(
        *_PAGES,
        r"/repositories/[a-z]+ ?$",
        "/auth/token",
        "GET /token",
        "/manifests/",
        "/blobs/",
        "/referrers/",
    ),
    harmless=frozenset({"/blobs/"}),
    pages=(*_PAGES, "/referrers/"),
    tags=r"/tags\?",
    deleting="DELETE",
    manifests=f"GET /v2/{NAMESPACE}/a/manifests/",
    page_kinds=(*PAGED_KINDS, "foreign-link"),
    tag_kinds=("error", "cut", "cut-json", "reset", *PAGED_KINDS, "foreign-link"),
)


def _row(plan: Plan, *, faults: Faults | None = _FAULTS) -> Harness:
    return Harness(
        name=f"dockerhub-{plan.name}",
        provider="dockerhub",
        open=_simulated(plan),
        untags=True,
        referrers=True,
        faults=faults,
        remembers=True,
        # Docker Hub's sizes are of layers alone, unless a manifest was read.
        tells=TOLD - {"size_bytes"},
        at=lambda name: name.replace("/", "-"),
    )


# What is different of old tags: each is looked up at the registry.
_OLD_FAULTS = Faults(
    listing=("HEAD .*/manifests/",),
    deleting="DELETE",
    kinds=("throttle", "error", "reset", "slow", "unauthorized"),
    lost_kinds=(),
)

ROWS = (_row(TEAM), _row(OLD, faults=_OLD_FAULTS), _row(PERSONAL, faults=None))
