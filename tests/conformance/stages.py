"""A world made real for one provider: what a test of conformance acts on and looks into."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import RegistryError
from janitor.providers.interface import Field, Registry, RepositoryFilter
from tests.simulators.content import INDEX_TYPES
from tests.simulators.truth import Held
from tests.simulators.world import World

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
ALL_FIELDS = frozenset(Field)


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a registry was opened: by what keys of a policy file, and in which environment."""

    provider: str
    keys: Mapping[str, Any]
    environ: Mapping[str, str]


class Time:
    """A clock that only sleeping moves; it is handed to registries in place of the machine's.

    ``opening``: of the registry that it was handed to, where a suite opened that.
    """

    def __init__(self, opening: Opening | None = None) -> None:
        self.opening = opening
        self.slept: list[float] = []
        self._now = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds


class Memory:
    """What a run keeps of manifests, in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Mapping[str, Known]] = {}

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        return self.kept.get((registry, repository), {})

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        self.kept[registry, repository] = dict(known)


class Stage(ABC):
    """One world as one provider meets it.

    ``world`` is what was there at the start; of a simulator it is what is there now.
    """

    def __init__(self, registry: Registry, world: World, time: Time) -> None:
        self.registry = registry
        self.world = world
        self.time = time

    @abstractmethod
    def held(self, repository: str) -> frozenset[str]:
        """The digests that are really there now, seen past the provider."""

    @abstractmethod
    def tags(self, repository: str) -> Mapping[str, str]:
        """The tags that are really there now, and the digests that they name."""

    def asked(self) -> int:
        """How many requests arrived so far."""
        return 0

    def lead_to(self, address: str) -> None:  # noqa: B027  most have no such faults
        """Where the faults that lead elsewhere lead to."""

    def manifest_reads(self) -> int:
        """How many manifests and configurations were read so far, of those that are there."""
        return 0

    def listing(self) -> dict[str, tuple[Image, ...]]:
        """Everything that the provider lists; raises RegistryError as soon as something can't be."""
        found: dict[str, tuple[Image, ...]] = {}
        for unit in self.registry.units(EVERYTHING):
            for listing in self.registry.list(unit, ALL_FIELDS):
                assert listing.repository not in found
                found[listing.repository] = listing.images
        return found

    def listing_where_it_can(self) -> tuple[dict[str, tuple[Image, ...]], list[RegistryError]]:
        """As :meth:`listing`, but a unit that can't be listed is left out."""
        found: dict[str, tuple[Image, ...]] = {}
        errors = []
        try:
            for unit in self.registry.units(EVERYTHING):
                try:
                    for listing in self.registry.list(unit, ALL_FIELDS):
                        found[listing.repository] = listing.images
                except RegistryError as error:
                    errors.append(error)
        except RegistryError as error:
            errors.append(error)
        return found, errors

    def images(self, repository: str, digests: Iterable[str]) -> list[Image]:
        """The listed images of these digests, in this order."""
        listed = {image.digest: image for image in self.listing()[repository]}
        return [listed[digest] for digest in digests]


# A harness, a world, perhaps a memory -> the stage; given back at the end of the test.
StageOf = Callable[..., Stage]


def visible(world: World, repository: str, *, untagged: bool, referrers: bool) -> frozenset[str]:
    """The digests that a listing must hold.

    ``untagged``: all that is there. Else what tags lead to, through indexes, and through the lists of
    referrers where the registry has them.
    """
    place = world[repository]
    if untagged:
        return frozenset(place.manifests)
    seen: set[str] = set()
    waiting = list(place.tags.values())
    while waiting:
        digest = waiting.pop()
        if digest in seen or digest not in place.manifests:
            continue
        seen.add(digest)
        waiting += place.manifests[digest].children
        if referrers:
            waiting += [held.digest for held in place.referrers_of(digest)]
    return frozenset(seen)


# A time before this is none, whatever was written: reproducible builds, and Go's zero.
_FIRST_TIME = datetime(1981, 1, 1, tzinfo=UTC)


def differences(
    image: Image, held: Held, tags: frozenset[str], tells: frozenset[str]
) -> dict[str, tuple[object, object]]:
    """What an image says that isn't true of it, beside what is; an index may leave its size out.

    ``tells``: the fields that must be said, exactly. Times that are none of them are unknown or right.
    """
    said = {
        "digest": (image.digest, held.digest),
        "tags": (frozenset(image.tags), tags),
        "children": (image.children, held.children),
        "subject": (image.subject, held.subject),
        "media_type": (image.media_type, held.media_type),
        "artifact_type": (image.artifact_type, held.artifact_type),
        "type": (image.type, held.type),
        "created_at": (_usable(image.created_at), _usable(held.created_at)),
        "pushed_at": (image.pushed_at, held.pushed_at),
        "pulled_at": (image.pulled_at, held.pulled_at),
        "size_bytes": (image.size_bytes, held.size_bytes),
        "labels": (dict(image.labels or {}), dict(held.labels)),
    }
    if image.size_bytes is None and held.media_type in INDEX_TYPES:
        del said["size_bytes"]
    for name in said.keys() - _ALWAYS - tells:
        if name not in _TIMES or said[name][0] in (None, UNSET):
            del said[name]
    return {name: pair for name, pair in said.items() if pair[0] != pair[1]}


_ALWAYS = frozenset({"digest", "tags", "children", "subject"})
_TIMES = frozenset({"created_at", "pushed_at", "pulled_at"})


def _usable(time: datetime | None) -> datetime | None:
    return None if time is None or time < _FIRST_TIME else time
