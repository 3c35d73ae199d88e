"""Reads one repository whole: its manifests, its tags, and what the manifests name.

- Manifests and tags are locked apart from one another, so both are listed; a lock of either kind, or one on
  the repository's writing, makes an image locked.
- What is hidden from lists is looked for. A tag that names a hidden manifest leads to it, which counts as
  locked then; where the repository says that it holds more than it lists, the listing isn't whole: something
  hidden may name, or be named by, what is listed.
- A manifest's time is the later of its two: when it came, and when it was last touched. Neither is the time
  of its build. What touches it isn't documented, and it can only make an image younger.
- A manifest that is listed and can't be read is locked, and what it names is unknown. One that is gone is
  gone, but if it was an index nobody knows which platforms it held: they stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import INDEX_TYPES, plain_media_type, type_from_media_types
from janitor.errors import Gone, Malformed, Unsupported
from janitor.net.asking import RESTARTS
from janitor.net.reading import image_of, known_of, with_config
from janitor.parallel import each
from janitor.providers.acr.answers import ManifestEntry, RepositoryEntry, TagEntry
from janitor.providers.acr.api import Api, Vanished


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A repository, whole: its images in the order of the list, and what is known of their manifests."""

    images: tuple[Image, ...] = ()
    known: Mapping[str, Known] = {}


def read_contents(
    api: Api, repository: str, *, known: Mapping[str, Known], configs: bool, workers: int
) -> Contents:
    """Read a repository; empty where it isn't there.

    ``known``: what earlier runs read of its manifests. ``configs``: read image configurations too, for times
    and labels. Raises RegistryError when the reading can't be proven whole.
    """
    lack = "it was gone, and then there again"
    for _ in range(1 + RESTARTS):
        try:
            lists = _lists(api, repository)
        except (Gone, Vanished):
            continue  # it vanished between two requests: perhaps for good, which the next look tells
        if lists is None:
            return Contents()
        lack = lists.lack(lists.repository)
        if lack and (now := api.repository(repository)) and (lack := lists.lack(now)):
            continue  # it may be that something came or went meanwhile
        return _Reader(api, repository, lists, configs=configs, workers=workers).read(known)
    raise Malformed(
        f"{repository} isn't listed whole: {lack}; what is hidden (listEnabled: false) may hang together with"
        " what isn't, so make it visible, and lock it (deleteEnabled: false) if it is to stay"
    )


class _Lists(msgspec.Struct, frozen=True, kw_only=True):
    """What one repository listed, or a tag of it led to, and what it says of itself."""

    repository: RepositoryEntry
    manifests: Mapping[str, ManifestEntry]
    tags: Mapping[str, TagEntry]

    def lack(self, repository: RepositoryEntry) -> str:
        """Say how much of what the repository says it holds was not listed; empty where nothing lacks."""
        listed, tagged = len(self.manifests), len(self.tags)
        manifests, tags = repository.manifest_count or 0, repository.tag_count or 0
        if listed >= manifests and tagged >= tags:
            return ""
        return f"{listed:,} of {manifests:,} manifests and {tagged:,} of {tags:,} tags are listed"


def _lists(api: Api, repository: str) -> _Lists | None:
    itself = api.repository(repository)
    if itself is None:
        return None
    manifests = api.manifests(repository)
    tags = api.tags(repository)
    unlisted = {tag.digest for tag in tags.values()} - manifests.keys()
    found = {digest: api.manifest(repository, digest) for digest in sorted(unlisted)}
    led_to = {digest: entry for digest, entry in found.items() if entry is not None}
    return _Lists(repository=itself, manifests={**manifests, **led_to}, tags=tags)


class _Reader:
    def __init__(self, api: Api, repository: str, lists: _Lists, *, configs: bool, workers: int) -> None:
        self._api = api
        self._repository = repository
        self._lists = lists
        self._configs = configs
        self._workers = workers
        self._tags: dict[str, list[str]] = {}
        for name, tag in lists.tags.items():
            self._tags.setdefault(tag.digest, []).append(name)

    def read(self, recalled: Mapping[str, Known]) -> Contents:
        entries = list(self._lists.manifests.values())
        found = each(
            lambda entry: self._find(entry, recalled.get(entry.digest)), entries, workers=self._workers
        )
        images: list[Image] = []
        known: dict[str, Known] = {}
        for entry, (image, read) in zip(entries, found, strict=True):
            if image is not None:
                images.append(image)
            if read is not None:
                known[entry.digest] = read
        return Contents(images=tuple(images), known=known)

    def _find(self, entry: ManifestEntry, known: Known | None) -> tuple[Image | None, Known | None]:
        """Make the image of a listed manifest, reading it where nobody did; no image where it is gone."""
        switches = (entry.attributes, self._lists.repository.attributes)
        may_be_read = all(each.read_enabled is not False for each in switches)
        try:
            if known is None:
                if not may_be_read:
                    return self._unread(entry), None
                body = self._api.distribution.manifest(self._repository, entry.digest)
                known = known_of(body, self._repository)
            if self._configs and may_be_read:
                known = with_config(self._api.distribution, self._repository, known)
        except Unsupported:  # quarantined, or locked against reading since it was listed
            return self._unread(entry), None
        except Gone:
            plain = plain_media_type(entry.media_type or "")
            may_hold_others = plain in INDEX_TYPES or type_from_media_types(plain) is None
            return (self._unread(entry) if may_hold_others else None), None
        tags = self._tags_of(entry)
        return self._dated(image_of(entry.digest, known, tags), entry, locked=self._locked(entry)), known

    def _unread(self, entry: ManifestEntry) -> Image:
        """Make the image of which only the list tells: locked, since what it names is unknown."""
        tags = self._tags_of(entry)
        kind = type_from_media_types(entry.media_type, tags=tags)
        plain = kind is not None and kind is not ImageType.INDEX
        image = Image(
            digest=entry.digest,
            tags=tags,
            media_type=entry.media_type,
            type=kind,
            children=() if plain else UNSET,
        )
        return self._dated(image, entry, locked=True)

    def _dated(self, image: Image, entry: ManifestEntry, *, locked: bool) -> Image:
        placed = [tag.latest for name in image.tags if (tag := self._lists.tags.get(name))]
        return msgspec.structs.replace(
            image,
            pushed_at=entry.latest,
            tagged_at=max(filter(None, placed), default=None),
            locked=locked,
        )

    def _tags_of(self, entry: ManifestEntry) -> tuple[str, ...]:
        """All tags of a manifest: those that name it, and those that it says it has."""
        return tuple(sorted({*self._tags.get(entry.digest, ()), *(entry.tags or ())}))

    def _locked(self, entry: ManifestEntry) -> bool:
        if self._lists.repository.attributes.write_enabled is False:
            return True  # all that is in it; deleteEnabled of a repository keeps only the repository itself
        if entry.attributes.is_locked or entry.attributes.list_enabled is False:
            return True  # what was hidden on purpose is not ours to judge
        tags = [self._lists.tags.get(name) for name in self._tags_of(entry)]
        # The lock of a tag that is not listed can't be seen.
        return any(tag is None or tag.attributes.is_locked for tag in tags)
