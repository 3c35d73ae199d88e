"""Reads one repository whole: tags and times from the Hub API, manifests from the registry.

- Pull times come first: a manifest that is read counts as a pull of it.
- So as little as possible is read, each digest once for good: indexes, and what Docker Hub doesn't describe
  as a plain image. Whoever asks for labels or creations has every manifest read.
- What Docker Hub says of an index's platforms isn't all of them; the index says it. Its description of a
  platform spares the reading of that one.
- A digest has the times of all tags on it, the latest of each kind. Where one of its pull times is unknown,
  so is its last pull.
- What is known, was not reached and is still there lost its tags, or its index: it is listed without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import (
    INDEX_TYPES,
    is_fallback_tag,
    parse_manifest,
    plain_media_type,
    scheme_subject,
    type_of,
)
from janitor.errors import Gone, Malformed
from janitor.net.answers import Body
from janitor.net.distribution import Distribution
from janitor.net.grammar import check_digest
from janitor.net.reading import Contents, image_of, known_of, with_config
from janitor.parallel import each
from janitor.providers.dockerhub.answers import Tag, TagImage, pull_time, push_time

MAX_DEPTH = 64  # levels of indexes in indexes and of referrers of referrers; real ones have three

_PLAIN = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+"
_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


class Moved(Exception):
    """A tag names what the registry doesn't hold: it moved meanwhile, or Docker Hub lost the manifest."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """A tag, and what it names."""

    tag: Tag
    digest: str
    media_type: str

    @property
    def is_schema1(self) -> bool:
        """Whether it names a manifest of Docker's first schema, which is left alone."""
        return self.media_type.startswith(_SCHEMA1)


class Told(msgspec.Struct, kw_only=True):
    """All that Docker Hub says of one digest, by whatever tags."""

    tags: list[str] = []
    media_type: str | None = None
    is_image: bool = False
    is_artifact: bool = False
    tagged_at: datetime | None = None
    pushed_at: datetime | None = None
    changed_at: datetime | None = None
    pulls: list[datetime | UnsetType | None] = []
    size: int | None = None

    @property
    def pulled_at(self) -> datetime | UnsetType | None:
        """The last pull; unknown where any of them is."""
        times = [time for time in self.pulls if not isinstance(time, UnsetType)]
        if not self.pulls or len(times) < len(self.pulls):
            return UNSET
        return max((time for time in times if time is not None), default=None)

    def on(self, image: Image) -> Image:
        """Give the image its times."""
        return msgspec.structs.replace(
            image,
            pushed_at=self.pushed_at,
            pulled_at=self.pulled_at,
            tagged_at=self.tagged_at,
            changed_at=self.changed_at,
        )


def point(api: Distribution, repository: str, tag: Tag) -> Pointer:
    """Tell what a tag names; of old ones Docker Hub doesn't know it. Raises Moved."""
    if tag.digest and tag.media_type:
        return Pointer(tag=tag, digest=check_digest(tag.digest), media_type=plain_media_type(tag.media_type))
    try:
        head = api.head(repository, tag.name)
    except Gone as exc:
        raise Moved(tag.name) from exc
    if not head.digest:
        raise Malformed(f"{repository}:{tag.name}: the registry doesn't say which digest the tag names")
    return Pointer(tag=tag, digest=head.digest, media_type=head.media_type)


def gather(pointers: Iterable[Pointer]) -> dict[str, Told]:
    """Put together what the tags say, by digest: of what they name, and of the platforms in it."""
    told: dict[str, Told] = {}
    for pointer in pointers:
        tag = pointer.tag
        platforms = tuple(tag.images or ())
        pushed = push_time(tag.tag_last_pushed) or push_time(tag.last_updated)
        of_tag = told.setdefault(pointer.digest, Told())
        of_tag.tags.append(tag.name)
        of_tag.media_type = pointer.media_type
        of_tag.is_artifact |= tag.content_type not in {None, "image"}
        of_tag.tagged_at = _later(of_tag.tagged_at, pushed)
        of_tag.pushed_at = _later(of_tag.pushed_at, pushed)
        of_tag.changed_at = _later(of_tag.changed_at, push_time(tag.last_updated))
        of_tag.pulls.append(pull_time(tag.tag_last_pulled))
        if pointer.media_type not in INDEX_TYPES:
            of_tag.size = of_tag.size or tag.full_size or None
        for platform in platforms:
            if platform.digest:
                _add(told.setdefault(check_digest(platform.digest), Told()), platform)
    return told


def _add(told: Told, platform: TagImage) -> None:
    told.is_image |= platform.is_image
    told.pushed_at = _later(told.pushed_at, push_time(platform.last_pushed))
    told.pulls.append(pull_time(platform.last_pulled))
    told.size = platform.size or told.size


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a digest; ``known`` is ``None`` where the registry doesn't hold it."""

    digest: str
    known: Known | None
    referrers: tuple[str, ...] = ()
    said: Mapping[str, Known] = {}


class Reader:
    """Reads a repository of which the tags were listed."""

    def __init__(
        self,
        api: Distribution,
        repository: str,
        *,
        known: Mapping[str, Known],
        configs: bool,
        workers: int,
    ) -> None:
        self._api = api
        self._repository = repository
        self._configs = configs
        self._workers = workers
        self._told: Mapping[str, Told] = {}
        self.known = dict(known)

    def read(self, pointers: Sequence[Pointer]) -> Contents:
        """Read what the tags lead to; raises Moved, or RegistryError when it can't be proven whole.

        ``known`` has what was read so far, whatever is raised.
        """
        self._told = gather(pointers)
        locked = {pointer.digest: pointer.media_type for pointer in pointers if pointer.is_schema1}
        reached: dict[str, Known] = {}
        tagged = [pointer.digest for pointer in pointers if pointer.digest not in locked]
        self._reach(list(dict.fromkeys(tagged)), reached, tagged=True)
        self._reach(self._forgotten(reached, locked), reached, tagged=False)
        images = [self._image(digest, known) for digest, known in reached.items()]
        images += [self._locked(digest, media_type) for digest, media_type in locked.items()]
        return Contents(images=tuple(images), known=reached)

    def _reach(self, digests: Sequence[str], reached: dict[str, Known], *, tagged: bool) -> None:
        """Find out about these manifests and all that can be reached from them."""
        seen = {*reached, *digests}
        for depth in range(MAX_DEPTH):
            following: dict[str, None] = {}
            for found in each(self._find, digests, workers=self._workers):
                if found.known is None:
                    if tagged and depth == 0:
                        raise Moved(", ".join(self._told[found.digest].tags))
                    continue
                reached[found.digest] = self.known[found.digest] = found.known
                following.update(dict.fromkeys((*found.known.children, *found.referrers)))
                for digest, known in found.said.items():
                    self.known.setdefault(digest, known)
            digests = [digest for digest in following if digest not in seen]
            if not digests:
                return
            seen.update(digests)
        raise Malformed(f"{self._repository} has indexes or referrers nested more than {MAX_DEPTH} deep")

    def _find(self, digest: str) -> _Found:
        """Find out all about a digest: what it is, what it says of its children, and what refers to it."""
        known = self.known.get(digest)
        said: dict[str, Known] = {}
        if known is not None and self._configs and known.labels is None and known.config_digest is None:
            known = None  # it was said, never read
        elif known is None and not self._configs:
            known = self._said(digest)
        if known is None:
            try:
                body = self._api.manifest(self._repository, digest)
            except Gone:
                return _Found(digest=digest, known=None)
            known = known_of(body, self._repository)
            if not self._configs:
                said = self._said_of_children(body)
        if self._configs:
            known = with_config(self._api, self._repository, known)
        referrers = self._api.referrers(self._repository, digest)
        return _Found(digest=digest, known=known, referrers=referrers, said=said)

    def _said(self, digest: str) -> Known | None:
        """Tell what Docker Hub says of what a tag names; ``None``: it must be read."""
        told = self._told.get(digest)
        if told is None or told.media_type not in _PLAIN:
            return None
        kind = _of_scheme(told.tags)
        if kind is None and told.is_image and not told.is_artifact:
            kind = ImageType.IMAGE
        return Known(media_type=told.media_type, type=kind) if kind else None

    def _said_of_children(self, body: Body) -> dict[str, Known]:
        """Tell what an index and Docker Hub say of its children; those that aren't here must be read."""
        said: dict[str, Known] = {}
        for child in parse_manifest(body.content, body.media_type).children:
            told, media_type = self._told.get(child.digest), plain_media_type(child.media_type)
            if told is None or told.is_artifact or child.artifact_type or media_type not in _PLAIN:
                continue
            if told.is_image:
                said[child.digest] = Known(media_type=media_type, type=ImageType.IMAGE)
            elif child.annotations.get(_ATTESTATION[0]) == _ATTESTATION[1]:
                said[child.digest] = Known(media_type=media_type, type=ImageType.ATTESTATION)
        return said

    def _forgotten(self, reached: Mapping[str, Known], locked: Mapping[str, str]) -> list[str]:
        """Tell what is known, was not reached, and is still there."""
        unreached = [digest for digest in self.known if digest not in reached and digest not in locked]
        there = each(
            lambda digest: self._api.exists(self._repository, digest), unreached, workers=self._workers
        )
        return [digest for digest, exists in zip(unreached, there, strict=True) if exists]

    def _image(self, digest: str, known: Known) -> Image:
        told = self._told.get(digest, Told())
        image = image_of(digest, known, sorted(told.tags))
        size = image.size_bytes
        if size is None and known.media_type not in INDEX_TYPES:
            size = told.size
        return told.on(msgspec.structs.replace(image, size_bytes=size))

    def _locked(self, digest: str, media_type: str) -> Image:
        known = Known(media_type=media_type, type=ImageType.IMAGE)
        return msgspec.structs.replace(self._image(digest, known), locked=True)


def _of_scheme(tags: Sequence[str]) -> ImageType | None:
    """What cosign's tags say that a manifest is; ``None`` where there is a tag of another kind."""
    if not tags or not all(scheme_subject(tag) and not is_fallback_tag(tag) for tag in tags):
        return None
    return type_of(media_type=None, tags=tags)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
