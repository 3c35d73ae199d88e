"""A simulated ECR with a provider before it, as the tests of this folder act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.providers.ecr.registry import Ecr
from janitor.providers.interface import (
    Context,
    Field,
    Finding,
    Forgetful,
    ManifestMemory,
    Registry,
    Result,
)
from janitor.providers.keys import EcrKeys
from tests.conformance.ecr_stage import ENVIRON
from tests.conformance.stages import EVERYTHING, Time
from tests.factories import registry_spec
from tests.instant import NOW
from tests.simulators.aws import Role
from tests.simulators.ecr import REGION, EcrServer
from tests.simulators.world import World

ACCOUNT = "123456789012"
APP = "team/app"


class Site:
    """One server, one registry. ``world`` is the truth."""

    def __init__(self, server: EcrServer, registry: Registry, time: Time) -> None:
        self.server = server
        self.registry = registry
        self.time = time

    @property
    def world(self) -> World:
        return self.server.world

    def listed(self, *wanted: Field, repository: str = APP) -> dict[str, Image]:
        """The images of a repository, by digest."""
        for unit in self.registry.units(EVERYTHING):
            if unit.name == repository:
                (listing,) = self.registry.list(unit, frozenset(wanted))
                return {image.digest: image for image in listing.images}
        return {}

    def images(self, *digests: str) -> list[Image]:
        listed = self.listed()
        return [listed[digest] for digest in digests]

    def delete(self, *digests: str) -> dict[str, Result]:
        """Delete what was listed so; the results by digest, one each."""
        results = list(self.registry.delete(APP, self.images(*digests)))
        assert sorted(result.digest for result in results) == sorted(digests)
        return {result.digest: result for result in results}

    def findings(self, about: str) -> list[Finding]:
        return [finding for finding in self.registry.check() if finding.about == about]


def outcomes(results: Mapping[str, Result]) -> set[OutcomeKind]:
    return {result.outcome for result in results.values()}


@contextmanager
def site(
    world: World,
    memory: ManifestMemory | None = None,
    *,
    environ: Mapping[str, str] = ENVIRON,
    keys: Mapping[str, Any] | None = None,
    now: Callable[[], datetime] = lambda: NOW,
    page: int = 2,
    roles: tuple[Role, ...] = (),
    **spec: Any,
) -> Iterator[Site]:
    """Serve a world and open a registry before it; ``keys`` and ``spec`` are of the policy file."""
    with EcrServer(world, page=page, roles=roles) as server:
        time = Time()
        context = Context(
            environ=environ,
            concurrency=4,
            memory=memory or Forgetful(),
            sleep=time.sleep,
            clock=time.clock,
            random=lambda: 1.0,
            now=now,
        )
        said = {"region": REGION, "endpoint": server.address, **(keys or {})}
        registry = Ecr.open(registry_spec("prod", "ecr", EcrKeys(**said), **spec), context)
        yield Site(server, registry, time)
        registry.close()
