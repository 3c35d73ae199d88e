"""What tests of the ``ghcr`` provider share: a registry opened on a simulator, and its listing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Field, Registry, RepositoryFilter, Unit
from janitor.providers.keys import GhcrKeys
from tests.factories import registry_spec
from tests.net.scripted import Time
from tests.simulators.ghcr import OWNER, Ghcr

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
    server: Ghcr,
    *,
    time: Time | None = None,
    spec: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Registry:
    """The registry that the simulator is."""
    time = time or Time()
    settings = {
        "environ": {},
        "sleep": time.sleep,
        "clock": time.clock,
        "random": lambda: 1.0,
        "now": lambda: datetime.now(UTC),
    }
    said = {
        "owner": OWNER,
        "token": server.api.token.value,
        "endpoint": server.address,
        "registry_endpoint": server.registry.address,
    }
    return PROVIDERS["ghcr"].open(
        registry_spec("prod", "ghcr", GhcrKeys(**{**said, **keys}), **(spec or {})),
        Context(**{**settings, **(context or {})}),
    )


def listing(registry: Registry, name: str = "a", wanted: frozenset[Field] = NOTHING) -> dict[str, Image]:
    """The images of a package, by digest."""
    (found,) = registry.list(Unit(name=name), wanted)
    images = {image.digest: image for image in found.images}
    assert len(images) == len(found.images)
    return images


def units(registry: Registry) -> list[str]:
    return [unit.name for unit in registry.units(EVERYTHING)]
