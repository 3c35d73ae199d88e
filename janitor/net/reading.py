"""Reads one repository whole by the distribution API: from its tags to everything that can be reached.

- A tag that vanishes meanwhile starts the reading anew; what was read of manifests stays good.
- Level by level: the manifests that tags name, then their children and what refers to them, and so on; each
  digest once, so that indexes that share platforms, or a list that comes round, cost nothing.
- A child that isn't there is left out (a mirror holds some platforms only); a manifest that a tag names must
  be there.
- What is known isn't read again. What is known and was not reached lost its tags: it is listed if the
  registry still has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import IMAGE_CONFIGS, ManifestError, image_type, parse_manifest, type_of
from janitor.core.units import parse_time
from janitor.decoding import decode
from janitor.errors import Gone, Malformed
from janitor.net.answers import Body
from janitor.net.distribution import Distribution
from janitor.parallel import each

RESTARTS = 2  # of a repository whose tags vanish while it is read
MAX_DEPTH = 64  # levels of indexes in indexes and of referrers of referrers; real ones have three

_UNTOLD = frozenset({ImageType.IMAGE, ImageType.INDEX, ImageType.ARTIFACT})


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A repository, whole: its images, those with tags first, and what is known of their manifests."""

    images: tuple[Image, ...]
    known: Mapping[str, Known]


class _Moved(Exception):
    """A tag, or what it named, vanished."""


def read_repository(
    api: Distribution, repository: str, *, known: Mapping[str, Known], configs: bool, workers: int
) -> Contents:
    """Read a repository; empty where it isn't there.

    ``known``: what earlier runs read of its manifests. ``configs``: read image configurations too, for times
    and labels. Raises RegistryError when the reading can't be proven whole.
    """
    reader = _Reader(api, repository, known=known, configs=configs, workers=workers)
    for _ in range(1 + RESTARTS):
        try:
            return reader.read()
        except _Moved:
            continue
    raise Malformed(f"{repository} lost tags each of the {1 + RESTARTS} times that it was listed")


def known_of(body: Body, repository: str) -> Known:
    """Read a manifest of a repository; raises Malformed of what is none."""
    try:
        manifest = parse_manifest(body.content, body.media_type)
    except ManifestError as exc:
        raise Malformed(f"{repository}@{body.digest}: {exc}") from exc
    kind = image_type(manifest)
    config = manifest.config if manifest.config and manifest.config.media_type in IMAGE_CONFIGS else None
    size = None if manifest.is_index else manifest.size_bytes
    return Known(
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        type=kind,
        children=tuple(dict.fromkeys(child.digest for child in manifest.children)),
        subject=manifest.subject,
        created_at=manifest.created,
        size_bytes=None if size is None else len(body.content) + size,
        annotations=manifest.annotations,
        config_digest=config.digest if config else None,
        labels=None if config else manifest.annotations,
    )


class Blobs(Protocol):
    """Where a repository's blobs can be read."""

    def blob(self, repository: str, digest: str) -> bytes:
        """Read a blob; raises Gone where it isn't there."""


def with_config(api: Blobs, repository: str, known: Known) -> Known:
    """Add what the configuration says, where it wasn't read yet; what can't be read of it stays unknown."""
    if known.labels is not None or known.config_digest is None:
        return known
    try:
        content = api.blob(repository, known.config_digest)
        config = decode(content, _Config)
    except (Gone, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return known
    labels = (config.config.labels if config.config else None) or {}
    return msgspec.structs.replace(
        known,
        created_at=_time(config.created) or known.created_at,
        labels={**labels, **known.annotations},
    )


def image_of(digest: str, known: Known, tags: Sequence[str]) -> Image:
    """Make the image of what is known of its manifest, and of the tags on it."""
    kind = known.type
    if tags and kind in _UNTOLD:
        by_tag = type_of(media_type=None, tags=tags)
        kind = kind if by_tag is ImageType.ARTIFACT else by_tag
    return Image(
        digest=digest,
        tags=tuple(tags),
        media_type=known.media_type,
        artifact_type=known.artifact_type,
        type=kind,
        created_at=known.created_at,
        size_bytes=known.size_bytes,
        children=known.children,
        subject=known.subject,
        labels=known.labels,
    )


class _Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tag points to; ``locked`` says a schema that is left alone, which is of this media type."""

    tag: str
    digest: str
    locked: str | None = None


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a digest; ``known`` is ``None`` where the registry doesn't hold it."""

    digest: str
    known: Known | None
    referrers: tuple[str, ...] = ()


class _Reader:
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
        self._known = dict(known)
        self._recalled = frozenset(known)
        self._configs = configs
        self._workers = workers

    def read(self) -> Contents:
        tags = sorted(self._api.tags(self._repository))
        pointers = tuple(each(self._point, tags, workers=self._workers))
        tags_of: dict[str, list[str]] = {}
        for pointer in pointers:
            tags_of.setdefault(pointer.digest, []).append(pointer.tag)
        locked = {pointer.digest: pointer.locked for pointer in pointers if pointer.locked}
        reached: dict[str, Known] = {}
        self._reach([digest for digest in tags_of if digest not in locked], reached, tagged=True)
        self._reach(self._forgotten(reached, locked), reached, tagged=False)
        images = [image_of(digest, known, tags_of.get(digest, ())) for digest, known in reached.items()]
        images += [
            _locked_image(digest, media_type, tags_of[digest]) for digest, media_type in locked.items()
        ]
        return Contents(images=tuple(images), known=reached)

    def _point(self, tag: str) -> _Pointer:
        try:
            head = self._api.head(self._repository, tag)
            if head.digest and head.is_schema1:
                return _Pointer(tag=tag, digest=head.digest, locked=head.media_type)
            if head.digest and head.media_type:
                return _Pointer(tag=tag, digest=head.digest)
            body = self._api.manifest(self._repository, tag)
        except Gone as exc:
            raise _Moved from exc
        if body.is_schema1:
            return _Pointer(tag=tag, digest=body.digest, locked=body.media_type)
        self._known.setdefault(body.digest, known_of(body, self._repository))
        return _Pointer(tag=tag, digest=body.digest)

    def _reach(self, digests: Sequence[str], reached: dict[str, Known], *, tagged: bool) -> None:
        """Read these manifests and all that can be reached from them."""
        seen = {*reached, *digests}
        missed: set[str] = set()
        for depth in range(MAX_DEPTH):
            following: dict[str, None] = {}
            for found in each(
                lambda digest: self._find(digest, missed=digest in missed), digests, workers=self._workers
            ):
                if found.known is None:
                    if tagged and depth == 0:
                        raise _Moved
                    continue
                reached[found.digest] = self._known[found.digest] = found.known
                following.update(dict.fromkeys((*found.known.children, *found.referrers)))
                if found.digest in self._recalled:
                    missed.update(found.known.children)
            digests = [digest for digest in following if digest not in seen]
            if not digests:
                return
            seen.update(digests)
        raise Malformed(f"{self._repository} has indexes or referrers nested more than {MAX_DEPTH} deep")

    def _find(self, digest: str, *, missed: bool) -> _Found:
        """Find out all about a digest; ``missed``: an earlier run knew who names it, and didn't find it."""
        known = self._known.get(digest)
        if known is None:
            if missed and not self._api.exists(self._repository, digest):
                return _Found(digest=digest, known=None)
            try:
                known = known_of(self._api.manifest(self._repository, digest), self._repository)
            except Gone:
                return _Found(digest=digest, known=None)
        if self._configs:
            known = with_config(self._api, self._repository, known)
        return _Found(digest=digest, known=known, referrers=self._api.referrers(self._repository, digest))

    def _forgotten(self, reached: Mapping[str, Known], locked: Mapping[str, str | None]) -> list[str]:
        """Tell what is known, was not reached, and is still there: it lost its tags, or its index."""
        unreached = [digest for digest in self._known if digest not in reached and digest not in locked]
        there = each(
            lambda digest: self._api.exists(self._repository, digest), unreached, workers=self._workers
        )
        return [digest for digest, exists in zip(unreached, there, strict=True) if exists]


class _ConfigBody(msgspec.Struct, kw_only=True):
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")


class _Config(msgspec.Struct, kw_only=True):
    created: str | None = None
    config: _ConfigBody | None = None


def _locked_image(digest: str, media_type: str | None, tags: Sequence[str]) -> Image:
    return Image(
        digest=digest,
        tags=tuple(tags),
        media_type=media_type,
        type=ImageType.IMAGE,
        children=(),
        locked=True,
    )


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
