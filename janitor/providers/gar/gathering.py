"""A repository of Artifact Registry, whole: from the pages of its images to each image of each name.

The service lists the images of all names mixed, so that all of them are gathered before the first name can
be given out. Until then each image is a row of some 150 bytes.

- A time that isn't set is unknown: in the raw message it would read as 1970, older than any limit.
- Where an image shows a hundred tags, it may have more: these are read from the list of tags.
- Names and digests are those of ``uri``; of an image that is on two pages the later one counts.
- Children are the ``image_manifests`` of an index. Where these are missing, the index is read from the
  registry; so is whatever has an artifact type, since only such a manifest can have a subject, and what a
  policy asks for that the listing doesn't tell.
- Where the registry doesn't hold what the listing names, or can't be asked at all, the children are unknown,
  and what may be a referrer is locked: whether its subject is still there, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import INDEX_TYPES, MANIFEST_TYPES, type_from_media_types
from janitor.core.reference import is_digest
from janitor.errors import Gone, Malformed
from janitor.net.distribution import Distribution
from janitor.net.reading import image_of, known_of, with_config
from janitor.parallel import each
from janitor.providers.gar.service import TAGS_SHOWN
from janitor.providers.interface import Field


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the listing tells of one image; encoded, it is as small as it gets."""

    digest: str
    tags: tuple[str, ...]
    media_type: str
    artifact_type: str
    size_bytes: int
    pushed_at: datetime | None
    built_at: datetime | None
    changed_at: datetime | None
    children: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where images are: ``prefixes`` of their ``uri``, each with its slash; ``immutable``: tags stay."""

    repository: str
    prefixes: tuple[str, ...]
    immutable: bool


def gather(
    place: Place, pages: Iterable[Iterable[Any]], wants: Callable[[str], bool]
) -> dict[str, list[bytes]]:
    """Read the pages to their end; the rows of each wanted name. ``wants`` is asked once a name."""
    found: dict[str, list[bytes] | None] = {}
    prefix = place.prefixes[0]
    begin = len(prefix)
    for page in pages:
        for raw in page:
            uri = raw.uri
            if not uri.startswith(prefix):
                uri = prefix + _below(place, raw)
            name, _, digest = uri[begin:].rpartition("@")
            try:
                rows = found[name]
            except KeyError:
                rows = found[name] = [] if wants(name) else None
            if rows is not None:
                rows.append(_encode(_row(raw, digest)))
    return {name: rows for name, rows in found.items() if rows is not None}


def _below(place: Place, raw: Any) -> str:
    """What follows the repository in an address that begins otherwise than most."""
    for prefix in place.prefixes[1:]:
        if raw.uri.startswith(prefix):
            return str(raw.uri[len(prefix) :])
    name: str = unquote(raw.name.partition("/dockerImages/")[2])
    if not name:
        raise Malformed(f"{place.repository} lists an image that has no name: {raw.uri or raw.name!r}")
    return name


def _row(raw: Any, digest: str) -> Row:
    if not is_digest(digest):
        raise Malformed(f"{raw.uri} is listed, which ends in no digest")
    media_type = raw.media_type
    return Row(
        digest,
        tuple(raw.tags),
        media_type,
        raw.artifact_type,
        raw.image_size_bytes,
        _time(raw, raw.upload_time, "upload_time"),
        _time(raw, raw.build_time, "build_time"),
        _time(raw, raw.update_time, "update_time"),
        _children(raw) if media_type in INDEX_TYPES else (),
    )


def _time(raw: Any, timestamp: Any, field: str) -> datetime | None:
    """Read a time; one that isn't set reads as 1970, and one that no calendar has is none."""
    seconds = timestamp.seconds
    if not seconds and not raw.HasField(field):
        return None
    try:
        return datetime.fromtimestamp(seconds + timestamp.nanos / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _children(raw: Any) -> tuple[str, ...]:
    return tuple(child.digest for child in raw.image_manifests if _is_child(child))


def _is_child(child: Any) -> bool:
    """A build cache's index names layers; those aren't its children."""
    return not child.media_type or child.media_type in MANIFEST_TYPES


class Rows:
    """The rows of one name, and what has to be read of them.

    ``wanted``: what a policy asks for beside what is always told. ``all_tags`` reads the tags of a digest,
    where so many are shown that some may be missing.
    """

    def __init__(
        self,
        place: Place,
        encoded: Sequence[bytes],
        wanted: frozenset[Field],
        all_tags: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._place = place
        rows = {row.digest: row for row in map(_decode, encoded)}
        for digest in [digest for digest, row in rows.items() if len(row.tags) >= TAGS_SHOWN]:
            rows[digest] = msgspec.structs.replace(rows[digest], tags=all_tags(digest))
        self._rows = list(rows.values())
        self._types = Field.TYPE in wanted
        self._labels = Field.LABELS in wanted
        self._creations = Field.CREATED in wanted

    def unread(self, known: Mapping[str, Known]) -> list[str]:
        """The digests of which something has to be read that isn't known yet."""
        return [row.digest for row in self._rows if self._is_unread(row, known.get(row.digest))]

    def kept(self, known: Mapping[str, Known]) -> dict[str, Known]:
        """What is known of those that are still there."""
        return {row.digest: known[row.digest] for row in self._rows if row.digest in known}

    def images(self, known: Mapping[str, Known]) -> Iterator[Image]:
        """Make the images, in the order of the listing."""
        immutable = self._place.immutable
        for row in self._rows:
            told = known.get(row.digest)
            yield _listed(row, immutable=immutable) if told is None else _read(row, told, immutable=immutable)

    def _is_unread(self, row: Row, known: Known | None) -> bool:
        if self._wants_config(row):
            return known is None or (known.labels is None and known.config_digest is not None)
        return known is None and (self._types or needs_manifest(row))

    def _wants_config(self, row: Row) -> bool:
        return self._labels or (self._creations and row.built_at is None)


def needs_manifest(row: Row) -> bool:
    """Whether the listing can't tell what an image holds, or what it refers to."""
    if row.artifact_type or not row.media_type:
        return True
    return row.media_type in INDEX_TYPES and not row.children


def read_manifests(
    api: Distribution,
    repository: str,
    digests: Sequence[str],
    known: Mapping[str, Known],
    *,
    configs: bool,
    workers: int,
) -> dict[str, Known]:
    """Read manifests, and their configurations too where asked; those that aren't there are left out."""

    def read(digest: str) -> Known | None:
        told = known.get(digest)
        if told is None:
            try:
                told = known_of(api.manifest(repository, digest), repository)
            except Gone:
                return None
        return with_config(api, repository, told) if configs else told

    answers = each(read, digests, workers=workers)
    return {digest: told for digest, told in zip(digests, answers, strict=True) if told is not None}


def _listed(row: Row, *, immutable: bool) -> Image:
    """Make an image of the listing alone."""
    is_index = row.media_type in INDEX_TYPES
    unknown = needs_manifest(row)
    return Image(
        digest=row.digest,
        tags=row.tags,
        media_type=row.media_type or None,
        artifact_type=row.artifact_type or None,
        type=_type(row),
        pushed_at=row.pushed_at,
        created_at=row.built_at,
        size_bytes=row.size_bytes or None,
        children=UNSET if unknown and (is_index or not row.media_type) else row.children,
        locked=(immutable and bool(row.tags)) or (unknown and not is_index),
        changed_at=row.changed_at,
    )


def _read(row: Row, known: Known, *, immutable: bool) -> Image:
    """Make an image of the listing and its manifest."""
    return msgspec.structs.replace(
        image_of(row.digest, known, row.tags),
        pushed_at=row.pushed_at,
        created_at=row.built_at or known.created_at,
        size_bytes=row.size_bytes or known.size_bytes,
        locked=immutable and bool(row.tags),
        changed_at=row.changed_at,
    )


def _type(row: Row) -> ImageType | None:
    """Tell what an image is where that is sure: charts and attestations may look like plain images."""
    for tag in row.tags:
        if tag[:7] == "sha256-":
            return _told(row.media_type, row.artifact_type, row.tags)
    return _told(row.media_type, row.artifact_type, ())


@lru_cache(maxsize=256)  # there are few kinds, and a listing has a million images
def _told(media_type: str, artifact_type: str, tags: tuple[str, ...]) -> ImageType | None:
    told = type_from_media_types(media_type, artifact_type or None, tags)
    return None if told is ImageType.IMAGE and not artifact_type else told
