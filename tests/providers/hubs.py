"""A namespace of a simulated Docker Hub, opened, and the clock that both sides live by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Field, Registry, RepositoryFilter, Result, Unit
from janitor.providers.keys import DockerHubKeys
from tests.factories import registry_spec
from tests.net.scripted import Time
from tests.simulators.dockerhub import NAMESPACE, TEAM, DockerHub, Plan, serving
from tests.simulators.world import World

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
NOTHING: frozenset[Field] = frozenset()


class Memory:
    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Known]] = {}

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        return self.kept.get(f"{registry}/{repository}", {})

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        self.kept[f"{registry}/{repository}"] = dict(known)


def opened(
    *,
    spec: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Registry:
    time = Time()
    settings = {"environ": {}, "sleep": time.sleep, "clock": time.clock, "random": lambda: 1.0}
    return PROVIDERS["dockerhub"].open(
        registry_spec(
            provider="dockerhub", keys=DockerHubKeys(**{"namespace": NAMESPACE} | keys), **(spec or {})
        ),
        Context(**{**settings, **(context or {})}),
    )


class Stage:
    """A simulated Docker Hub, and the registry that asks it; sleeping moves the clocks of both."""

    def __init__(self, server: DockerHub, **context: Any) -> None:
        self.server = server
        self.world = server.world
        self.time = Time()
        server.hub.clock = self.now
        self.memory = Memory()
        settings = {
            "sleep": self.time.sleep,
            "clock": self.time.clock,
            "now": self.now,
            "memory": self.memory,
            "concurrency": 4,
        }
        self.registry = opened(
            context=settings | context,
            endpoint=server.address,
            registry_endpoint=server.registry_address,
            username=server.plan.user,
            token=server.plan.secret,
        )

    @property
    def waits(self) -> list[float]:
        """What was slept but for the pace of requests."""
        return [seconds for seconds in self.time.slept if seconds > 0.1]

    def now(self) -> datetime:
        return self.world.now + timedelta(seconds=self.time.now)

    def images(self, repository: str = "app", wanted: frozenset[Field] = NOTHING) -> dict[str, Image]:
        (listing,) = self.registry.list(Unit(name=repository), wanted)
        return {image.digest: image for image in listing.images}

    def delete(self, *digests: str, repository: str = "app") -> dict[str, Result]:
        images = self.images(repository)
        results = self.registry.delete(repository, [images[digest] for digest in digests])
        return {result.digest: result for result in results}


@contextmanager
def staged(world: World, plan: Plan = TEAM, **context: Any) -> Iterator[Stage]:
    with serving(world, plan) as server:
        stage = Stage(server, **context)
        yield stage
        stage.registry.close()
