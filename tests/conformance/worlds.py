"""Worlds that the suites share."""

from __future__ import annotations

from tests.conformance.harness import Harness
from tests.simulators.world import ARM64, World


def platforms(world: World, repository: str, created: str = "50d") -> list[str]:
    """Two images, one a platform."""
    return [world.push(repository, created=created), world.push(repository, created=created, platform=ARM64)]


def everything(harness: Harness) -> World:
    """A repository of every shape, one of a single image, one with nothing in it."""
    world = World()
    app = harness.at("team/app")
    plain = world.push(app, tags=["1.0.0", "1.0", "stable"], created="90d", labels={"team": "a"})
    world.push(app, tags=["undated"], created=None)
    world.push(app, tags=["reproducible"], created="1970-01-01T00:00:00Z")
    world.push(app, tags=["docker"], docker=True, annotations=None)
    world.push(app, tags=["annotated"], annotations={"org.example.a": "b"})
    index = world.push_index(app, children=platforms(world, app), tags=["2.0.0"], created="50d")
    world.push_index(
        app, children=platforms(world, app, "40d"), tags=["3.0.0", "latest"], provenance=True, created="40d"
    )
    world.push_index(app, children=[index, plain], tags=["nested"])
    world.push_index(app, children=[world.push(app, tags=["both"])], tags=["holder"], names_its_type=False)
    world.push_index(
        app, children=[world.push(app, docker=True), world.push(app, docker=True)], tags=["list"], docker=True
    )
    sparse = platforms(world, app)
    world.push_index(app, children=sparse, tags=["sparse"])
    world.forget(app, sparse[1])
    world.sign(app, plain)
    world.attest(app, index)
    world.sbom(app, index)
    bundle = world.refer(app, index, fallback=not harness.referrers)
    world.refer(app, bundle, fallback=not harness.referrers)
    world.refer(app, plain, tags=["signature-of-plain"], fallback=not harness.referrers)
    world.cache(app)
    world.chart(harness.at("charts/web"), tags=["0.1.0"], created="10d")
    world.push(harness.at("single"), tags=["only"])
    world.empty(harness.at("emptied"))
    return world


def small(harness: Harness) -> World:
    """What faults are tried on: few requests of every kind."""
    world = World()
    for repository in map(harness.at, ("a", "b", "c")):
        for tag in ("1", "2", "3"):
            world.push(repository, tags=[tag], created="30d")
        index = world.push_index(repository, children=platforms(world, repository), tags=["4"], created="50d")
        world.refer(repository, index, fallback=not harness.referrers)
    return world
