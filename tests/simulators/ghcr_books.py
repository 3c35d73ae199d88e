"""What GitHub keeps of packages beside what is in them: ids, downloads, times of change, what is deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tests.simulators import content
from tests.simulators.truth import Held
from tests.simulators.world import World

KEPT = timedelta(days=30)  # what was deleted can be restored so long
_FIRST_YEAR = 1981  # before it no time is one


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A version that can be restored."""

    id: int
    held: Held
    tags: frozenset[str]
    at: datetime


@dataclass(kw_only=True)
class Books:
    """What GitHub keeps of the packages beside what is in them.

    ``lag``: in so many answers a deleted version is still listed. ``shown`` counts them down.
    """

    world: World
    lag: int = 0
    public: set[str] = field(default_factory=set)
    downloads: Counter[tuple[str, str]] = field(default_factory=Counter)
    deleted: dict[str, dict[int, Deleted]] = field(default_factory=dict)
    restored_at: dict[int, datetime] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    shown: dict[int, int] = field(default_factory=dict)
    serial: int = 1000

    def __post_init__(self) -> None:
        """Give every push a real time, whatever the image says of its making."""
        for place in self.world.repositories.values():
            for digest, held in place.manifests.items():
                place.manifests[digest] = msgspec.structs.replace(held, pushed_at=self.pushed(held))

    def id_of(self, name: str, digest: str) -> int:
        """The id of the version; one that is pushed again after its deletion is another version."""
        if (name, digest) not in self.ids:
            self.serial += 1
            self.ids[name, digest] = self.serial
        return self.ids[name, digest]

    def digest_of(self, name: str, version: int) -> str | None:
        return next((held for held in self.world[name].manifests if self.id_of(name, held) == version), None)

    def active(self, name: str) -> list[dict[str, Any]]:
        """The versions that are there, and for a while those that were deleted; the newest first."""
        found = [self.version(name, held) for held in self.world[name].manifests.values()]
        for gone in self.deleted.get(name, {}).values():
            if self.shown.get(gone.id, 0) > 0:
                self.shown[gone.id] -= 1
                found.append(self._gone(gone))
        return sorted(found, key=_newest_first, reverse=True)

    def version(self, name: str, held: Held) -> dict[str, Any]:
        place = self.world[name]
        version = self.id_of(name, held.digest)
        tags = place.tags_of(held.digest)
        times = [place.tagged_at[tag] for tag in tags if tag in place.tagged_at]
        times += [self.restored_at[version]] if version in self.restored_at else []
        return _version(version, held.digest, tags, self.pushed(held), max([self.pushed(held), *times]))

    def pushed(self, held: Held) -> datetime:
        known = held.pushed_at
        return self.world.now if known is None or known.year < _FIRST_YEAR else known

    def gone(self, name: str) -> list[dict[str, Any]]:
        deleted = self.deleted.get(name, {}).values()
        return [self._gone(each) | {"deleted_at": content.timestamp(each.at)} for each in deleted]

    def _gone(self, gone: Deleted) -> dict[str, Any]:
        return _version(gone.id, gone.held.digest, gone.tags, self.pushed(gone.held), gone.at)

    def delete(self, name: str, version: int, digest: str) -> None:
        place = self.world[name]
        gone = Deleted(
            id=version, held=place.manifests[digest], tags=place.tags_of(digest), at=self.world.now
        )
        self.deleted.setdefault(name, {})[version] = gone
        self.shown[version] = self.lag
        del self.ids[name, digest]
        self.world.forget(name, digest)

    def restore(self, name: str, version: int) -> bool:
        """Bring a version back, with the tags that no other has by now."""
        gone = self.deleted.get(name, {}).get(version)
        place = self.world[name]
        if gone is None or self.world.now - gone.at > KEPT or gone.held.digest in place.manifests:
            return False
        del self.deleted[name][version]
        self.ids[name, gone.held.digest] = version
        self.restored_at[version] = self.world.now
        place.absent.pop(gone.held.digest, None)
        place.manifests[gone.held.digest] = gone.held
        for tag in gone.tags - place.tags.keys():
            self.world.retag(name, tag, gone.held.digest)
        return True


def _version(
    version: int, digest: str, tags: frozenset[str], pushed: datetime, updated: datetime
) -> dict[str, Any]:
    return {
        "id": version,
        "name": digest,
        "created_at": content.timestamp(pushed),
        "updated_at": content.timestamp(updated),
        "metadata": {"package_type": "container", "container": {"tags": sorted(tags)}},
    }


def _newest_first(version: Mapping[str, Any]) -> tuple[str, int]:
    return version["created_at"], version["id"]
