"""GitHub's packages: the API that lists and deletes, and the registry that tells what manifests are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import PAGED_KINDS, TOLD, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.ghcr import OWNER, Ghcr, Token
from tests.simulators.world import World


class SimulatedGhcr(Stage):
    """A simulated GitHub: the world is what is there now."""

    def __init__(self, registry: Registry, server: Ghcr, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def asked(self) -> int:
        return len(self.server.api.requests) + len(self.server.registry.requests)

    def lead_to(self, address: str) -> None:
        self.server.api.foreign = self.server.registry.foreign = address

    def manifest_reads(self) -> int:
        registry = self.server.registry
        return len(registry.asked("GET", "/manifests/")) + len(registry.asked("GET", "/blobs/"))


def _simulated(
    token: Token, *, organisation: bool, lag: int
) -> Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]:
    @contextmanager
    def open_it(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
        # Pages are so small that the few versions of a test make several.
        with Ghcr(world, token=token, organisation=organisation, lag=lag, page_cap=3) as server:
            registry, time = open_registry(
                "ghcr",
                memory,
                owner=OWNER,
                token=token.value,
                endpoint=server.address,
                registry_endpoint=server.registry.address,
            )
            yield SimulatedGhcr(registry, server, time)
            registry.close()

    return open_it


def _row(
    name: str, token: Token, *, organisation: bool = True, lag: int = 0, faults: bool = False
) -> Harness:
    return Harness(
        name=name,
        provider="ghcr",
        open=_simulated(token, organisation=organisation, lag=lag),
        restores=True,
        untagged=True,
        remembers=True,
        faults=_FAULTS if faults else None,
        tells=TOLD | {"pushed_at"},
    )


_FAULTS = Faults(
    # Without its configuration an image is undated and has no labels; it is listed all the same.
    listing=("/packages[?]", "/versions[?]", "/packages/container/[^/]+$", "/manifests/", "/blobs/"),
    harmless=frozenset({"/blobs/"}),
    pages=("/packages[?]", "/versions[?]"),
    tags="/versions",
    deleting="DELETE",
    manifests=f"GET /v2/{OWNER}/a/manifests/",
    page_kinds=(*PAGED_KINDS, "foreign-link"),
)

ROWS = (
    _row("ghcr", Token(), lag=3, faults=True),
    _row("ghcr-own", Token(login=OWNER), organisation=False),
)
