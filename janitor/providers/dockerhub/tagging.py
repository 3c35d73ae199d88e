"""Which tags are on which image: of a whole repository, and of some images at this moment.

- To ask for some images of many, not all is listed again. Tags are listed by their last update, so what was
  placed since the whole was listed stands in front; the others are looked up one by one at the registry.
- That is done only where it takes fewer requests, where the whole was in that order, and for images with the
  tags that they had then; else the whole is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from janitor.core.image import Image
from janitor.errors import Gone, Malformed
from janitor.net.distribution import Distribution
from janitor.parallel import each
from janitor.providers.dockerhub.answers import Page, Tag, push_time
from janitor.providers.dockerhub.contents import Moved, Pointer, point
from janitor.providers.dockerhub.hub import PAGE, Hub

RESTARTS = 2  # of a list of tags of which one moves while it is looked up
# Machines of the service may disagree by so much on what time it is.
MARGIN = timedelta(minutes=10)
KEPT = 8  # repositories; some are listed side by side, and one at a time is deleted in


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A whole list in the order of the last update: its newest one, and the tags by digest."""

    latest: datetime
    tags: Mapping[str, frozenset[str]]
    pages: int


class Tagging:
    """The tags of one namespace. Used from many threads for different repositories."""

    def __init__(self, *, hub: Hub, api: Distribution, namespace: str, workers: int) -> None:
        self._hub = hub
        self._api = api
        self._namespace = namespace
        self._workers = workers
        self._listed: dict[str, _Listed] = {}

    def listed(self, repository: str) -> Sequence[Pointer]:
        """List all tags and what they name; none where the repository isn't there. Raises Moved."""
        self._listed.pop(repository, None)
        pointers = self._pointers(repository)
        listed = _listed(pointers)
        if listed is not None:
            self._listed[repository] = listed
            for oldest in list(self._listed)[:-KEPT]:
                self._listed.pop(oldest, None)
        return pointers

    def now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        """Read the tags that these images have at this moment; ``None`` of what is gone."""
        found = self._looked_up(repository, images)
        if found is None:
            found = {image.digest: set() for image in images}
            for pointer in self._steady_pointers(repository):
                if pointer.digest in found:
                    found[pointer.digest].add(pointer.tag.name)
        untagged = [digest for digest, tags in found.items() if not tags]
        name = self._full(repository)
        there = each(lambda digest: self._api.exists(name, digest), untagged, workers=self._workers)
        gone = {digest for digest, exists in zip(untagged, there, strict=True) if not exists}
        return {digest: None if digest in gone else frozenset(tags) for digest, tags in found.items()}

    def points_to(self, repository: str, tag: str) -> str | None:
        """Ask the registry what a tag names at this moment; ``None``: it is gone. Counts as no pull."""
        name = self._full(repository)
        try:
            head = self._api.head(name, tag)
        except Gone:
            return None
        if head.digest is None:
            raise Malformed(f"{name}:{tag}: the registry doesn't say which digest the tag names")
        return head.digest

    def _looked_up(self, repository: str, images: Sequence[Image]) -> dict[str, set[str]] | None:
        """Look the tags up one by one; ``None`` where that is no way, or the longer one."""
        listed = self._listed.get(repository)
        if listed is None or sum(len(image.tags) for image in images) + 1 >= listed.pages:
            return None
        if any(frozenset(image.tags) != listed.tags.get(image.digest, frozenset()) for image in images):
            return None
        since = listed.latest - MARGIN
        try:
            recent = self._hub.tags(self._namespace, repository, lambda page: _reaches(page, since))
        except Gone:
            return None
        if not _in_order(recent):
            return None
        found: dict[str, set[str]] = {image.digest: set() for image in images}
        placed = (tag.name for tag in recent if not tag.digest or tag.digest in found)
        tags = list(dict.fromkeys((*(tag for image in images for tag in image.tags), *placed)))
        heads = each(lambda tag: self.points_to(repository, tag), tags, workers=self._workers)
        for tag, digest in zip(tags, heads, strict=True):
            if digest in found:
                found[digest].add(tag)
        return found

    def _pointers(self, repository: str) -> Sequence[Pointer]:
        try:
            tags = self._hub.tags(self._namespace, repository)
        except Gone:
            return ()
        name = self._full(repository)
        return tuple(each(lambda tag: point(self._api, name, tag), tags, workers=self._workers))

    def _steady_pointers(self, repository: str) -> Sequence[Pointer]:
        for _ in range(RESTARTS):
            try:
                return self._pointers(repository)
            except Moved:
                continue
        try:
            return self._pointers(repository)
        except Moved as exc:
            message = f"{self._full(repository)}: the registry doesn't hold what {exc} names"
            raise Malformed(message) from exc

    def _full(self, repository: str) -> str:
        return f"{self._namespace}/{repository}"


def _listed(pointers: Sequence[Pointer]) -> _Listed | None:
    """Keep of a whole list what helps to find what comes after it; ``None`` where its order doesn't tell."""
    latest = push_time(pointers[0].tag.last_updated) if pointers else None
    if latest is None or not _in_order(pointer.tag for pointer in pointers):
        return None
    tags: dict[str, set[str]] = {}
    for pointer in pointers:
        tags.setdefault(pointer.digest, set()).add(pointer.tag.name)
    return _Listed(
        latest=latest,
        tags={digest: frozenset(names) for digest, names in tags.items()},
        pages=-(-len(pointers) // PAGE),
    )


def _in_order(tags: Iterable[Tag]) -> bool:
    """Whether each tag was updated no later than the one before it."""
    times = [push_time(tag.last_updated) for tag in tags]
    return all(
        before is not None and after is not None and after <= before for before, after in pairwise(times)
    )


def _reaches(page: Page[Tag], since: datetime) -> bool:
    times = [push_time(tag.last_updated) for tag in page.results]
    return any(time is not None and time < since for time in times)
