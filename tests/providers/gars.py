"""What tests of Artifact Registry stand on: a server, and the registry that speaks to it by its own clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.providers import PROVIDERS
from janitor.providers.gar.registry import Gar
from janitor.providers.interface import Context, Field, RepositoryFilter, Unit
from janitor.providers.keys import GarKeys
from tests.factories import registry_spec
from tests.instant import NOW
from tests.net.scripted import Time
from tests.simulators.gar import LOCATION, PROJECT, GarServer

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
NOTHING: frozenset[Field] = frozenset()


class Memory:
    """What is kept of manifests, in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Known]] = {}

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        return self.kept.get(f"{registry}/{repository}", {})

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        self.kept[f"{registry}/{repository}"] = dict(known)


def registry(
    endpoint: str | None,
    *,
    spec: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    project: str = PROJECT,
    location: str = LOCATION,
    **keys: Any,
) -> Gar:
    """A registry that has asked nothing yet; its sleeping takes no time."""
    time = Time()
    settings: dict[str, Any] = {
        "environ": {},
        "sleep": time.sleep,
        "clock": time.clock,
        "random": lambda: 1.0,
        "now": lambda: NOW,
        "concurrency": 4,
    }
    made = PROVIDERS["gar"].open(
        registry_spec(
            "prod",
            "gar",
            GarKeys(project=project, location=location, endpoint=endpoint, **keys),
            **(spec or {}),
        ),
        Context(**settings | dict(context or {})),
    )
    assert isinstance(made, Gar)
    return made


@contextmanager
def opened(server: GarServer, **settings: Any) -> Iterator[Gar]:
    """A registry of this server, closed afterwards."""
    made = registry(server.address, **settings)
    try:
        yield made
    finally:
        made.close()


def listed(
    made: Gar, wanted: frozenset[Field] = NOTHING, only: RepositoryFilter = EVERYTHING
) -> dict[str, tuple[Image, ...]]:
    """All that is wanted, by repository."""
    return {
        listing.repository: listing.images for unit in made.units(only) for listing in made.list(unit, wanted)
    }


def images(made: Gar, repository: str, *digests: str) -> list[Image]:
    """The listed images of these digests, in this order."""
    unit = Unit(name=repository.partition("/")[0], many=True)
    found = {
        image.digest: image
        for listing in made.list(unit, NOTHING)
        if listing.repository == repository
        for image in listing.images
    }
    return [found[digest] for digest in digests]
