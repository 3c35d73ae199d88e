"""A run with a cluster beside a registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.core.plan import RepositoryState
from janitor.core.report import OutcomeKind
from tests.instant import NOW
from tests.journeys.site import Site
from tests.simulators import oci as flavours
from tests.simulators.kubernetes import KubernetesServer
from tests.simulators.oci import OciServer
from tests.simulators.world import ARM64, World


@pytest.fixture
def world() -> World:
    world = World(NOW)
    for tag in ("pr-1", "pr-2", "pr-3"):
        children = [world.push("app", created="60d"), world.push("app", created="60d", platform=ARM64)]
        world.push_index("app", children=children, tags=[tag], created="60d")
    return world


@pytest.fixture
def registry(world: World) -> Iterator[OciServer]:
    with OciServer(world, flavours.ZOT) as server:
        yield server


@pytest.fixture
def cluster() -> Iterator[KubernetesServer]:
    with KubernetesServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: OciServer, cluster: KubernetesServer) -> Site:
    site = Site(tmp_path)
    site.policies(
        {"prod": {"provider": "oci", "endpoint": registry.address}},
        limits={"min_remaining": 0},
        protect={"in_use": [{"kubernetes": {"server": cluster.address}}]},
    )
    return site


def test_what_a_cluster_runs_or_names_stays_whole(
    site: Site, world: World, registry: OciServer, cluster: KubernetesServer
) -> None:
    """By the digest of one platform, though the tag that was asked for is no more."""
    platform = world["app"].manifests[world["app"].tags["pr-1"]].children[1]
    cluster.cluster.pod("app", f"{registry.host}/app:gone", running=[f"{registry.host}/app@{platform}"])
    cluster.cluster.templated("apps/v1/deployments", "asleep", f"{registry.host}/app:pr-2", replicas=0)
    ran = site.run(delete=True, state_dir=str(site.folder / "state"))
    assert ran.exit_code == 0
    assert ran.tags(OutcomeKind.DELETED) == {"pr-3"}
    assert set(world["app"].tags) == {"pr-1", "pr-2"}
    assert len(world["app"].manifests) == 6


def test_a_cluster_that_cannot_be_read_whole_stops_every_deletion(
    site: Site, world: World, registry: OciServer, cluster: KubernetesServer
) -> None:
    for name in ("app", "another"):
        cluster.cluster.pod(name, f"{registry.host}/app:pr-1")
    cluster.chunk = 1
    cluster.compact(times=1000)
    ran = site.run(delete=True, state_dir=str(site.folder / "state"))
    assert ran.exit_code == 3
    assert {each.state for each in ran.report.repositories} == {RepositoryState.LIMITED}
    assert set(world["app"].tags) == {"pr-1", "pr-2", "pr-3"}
    (source,) = ran.report.in_use.sources
    assert "grew too old" in str(source.error)
