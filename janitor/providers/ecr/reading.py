"""One repository of ECR, from its descriptions to images.

- Descriptions come first, and with them the times of the last pulls: to read a manifest counts as a pull.
- Manifests are read of indexes alone, which nothing else tells the children of, and of what a rule wants to
  know more of; each once, as long as the state folder is kept.
- What is archived, or on its way back, can't be read. The children of such an index are unknown, unless an
  earlier run read them, and the repository's untagged images stay then.
- An image that came back from the archive arrived then. The size of an index is left out: ECR says that of
  its largest platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import IMAGE_CONFIGS, INDEX_TYPES, MANIFEST_TYPES, type_from_media_types
from janitor.net.reading import image_of, known_of, with_config
from janitor.parallel import each
from janitor.providers.ecr.answers import Detail
from janitor.providers.ecr.api import MOST_MANIFESTS, EcrApi
from janitor.providers.interface import Field

_SCHEME = "sha256-"
_CONFIGS = frozenset({Field.CREATED, Field.LABELS})
_ASKING = _CONFIGS | {Field.TYPE}
_time = datetime.fromtimestamp
# In the archive, since nobody knows when: no time that a rule could take.
_SOMETIME = datetime(1970, 1, 1, tzinfo=UTC)


class Reader:
    """Reads repositories; ``workers``: how many requests of one at once. ``now``: of what comes back now."""

    def __init__(self, api: EcrApi, *, workers: int, now: datetime) -> None:
        self._api = api
        self._workers = workers
        self._now = now

    def read(
        self,
        repository: str,
        details: Sequence[Detail],
        recalled: Mapping[str, Known],
        wanted: frozenset[Field],
    ) -> tuple[tuple[Image, ...], dict[str, Known]]:
        """Make the images of these descriptions; what is known of their manifests is returned beside.

        ``recalled``: what earlier runs read. Raises RegistryError when a manifest isn't its digest.
        """
        known = {
            detail.image_digest: recalled[detail.image_digest]
            for detail in details
            if detail.image_digest in recalled
        }
        plain = frozenset() if wanted & _ASKING else _PLAIN
        unread = [
            detail.image_digest
            for detail in details
            if detail.image_manifest_media_type not in plain
            and detail.image_digest not in known
            and detail.image_status == "ACTIVE"
            and _is_to_read(detail, wanted)
        ]
        for found in each(
            lambda batch: self._manifests(repository, batch), _batches(unread), workers=self._workers
        ):
            known.update(found)
        if wanted & _CONFIGS:
            active = [detail.image_digest for detail in details if detail.image_status == "ACTIVE"]
            waiting = [digest for digest in active if digest in known and known[digest].labels is None]
            told = each(
                lambda digest: with_config(self._api, repository, known[digest]),
                waiting,
                workers=self._workers,
            )
            known.update(dict(zip(waiting, tuple(told), strict=True)))
        return tuple([self._image(detail, known.get(detail.image_digest)) for detail in details]), known

    def _manifests(self, repository: str, digests: Sequence[str]) -> dict[str, Known]:
        bodies = self._api.manifests(repository, digests)
        return {digest: known_of(body, repository) for digest, body in bodies.items()}

    def _image(self, detail: Detail, known: Known | None) -> Image:
        """Make an image; a listing spends most of its time here."""
        tags, pushed, pulled = detail.image_tags, detail.image_pushed_at, detail.last_recorded_pull_time
        described = _described(detail.image_manifest_media_type, detail.artifact_media_type, bool(tags))
        image = Image(
            digest=detail.image_digest,
            tags=tags,
            media_type=detail.image_manifest_media_type,
            artifact_type=described.artifact_type,
            type=_type_by_tag(detail) if _wears_scheme(tags) else described.type,
            pushed_at=None if pushed is None else _time(pushed, UTC),
            pulled_at=None if pulled is None else _time(pulled, UTC),
            size_bytes=detail.image_size_in_bytes if described.children == () else None,
            children=described.children,
            subject=detail.subject_manifest_digest,
        )
        if known is not None:
            image = _with_manifest(image, known)
        if detail.image_status == "ACTIVE" and detail.last_activated_at is None:
            return image
        return self._moved(image, detail)

    def _moved(self, image: Image, detail: Detail) -> Image:
        """Tell of an image that is in the archive, or was."""
        archived, activated = detail.last_archived_at, detail.last_activated_at
        match detail.image_status:
            case "ARCHIVED":
                since = _SOMETIME if archived is None else _time(archived, UTC)
                return msgspec.structs.replace(image, archived_at=since)
            case "ACTIVATING":
                return msgspec.structs.replace(image, pushed_at=self._now)
            case "ACTIVE":
                latest = max(detail.image_pushed_at or 0.0, activated or 0.0)
                return msgspec.structs.replace(image, pushed_at=_time(latest, UTC))
        # Nobody knows what that means: it had better stay.
        return msgspec.structs.replace(image, locked=True)


class _Described(msgspec.Struct, frozen=True, kw_only=True):
    """What media types tell of an image: ``children`` are unknown of what may name some."""

    type: ImageType | None
    artifact_type: str | None
    children: tuple[str, ...] | UnsetType


@lru_cache(maxsize=1024)
def _described(media_type: str | None, artifact_type: str | None, tagged: bool) -> _Described:  # noqa: FBT001 - a key of the cache
    is_config = artifact_type in IMAGE_CONFIGS
    kind = type_from_media_types(media_type, artifact_type)
    if not tagged and media_type in _IMAGES and (artifact_type is None or is_config):
        kind = None  # BuildKit's attestations have an image's configuration, too; they have no tag
    return _Described(
        type=kind,
        # ECR also gives the type of an image's configuration here.
        artifact_type=None if is_config else artifact_type,
        children=() if media_type in _PLAIN else UNSET,
    )


def _wears_scheme(tags: tuple[str, ...]) -> bool:
    for tag in tags:  # noqa: SIM110 - any() costs three times as much
        if tag[:7] == _SCHEME:
            return True
    return False


def _type_by_tag(detail: Detail) -> ImageType | None:
    return type_from_media_types(
        detail.image_manifest_media_type, detail.artifact_media_type, detail.image_tags
    )


def _with_manifest(image: Image, known: Known) -> Image:
    """Tell more of an image whose manifest was read."""
    read = image_of(image.digest, known, image.tags)
    return msgspec.structs.replace(
        read, pushed_at=image.pushed_at, pulled_at=image.pulled_at, size_bytes=image.size_bytes
    )


def _is_to_read(detail: Detail, wanted: frozenset[Field]) -> bool:
    """Whether more must be known of an image than its description says."""
    if detail.image_manifest_media_type in _IMAGES:
        return bool(wanted & _CONFIGS) or (Field.TYPE in wanted and _is_of_unknown_type(detail))
    return detail.image_manifest_media_type not in _SCHEMA1


def _is_of_unknown_type(detail: Detail) -> bool:
    if _wears_scheme(detail.image_tags):
        return _type_by_tag(detail) is None
    tagged = bool(detail.image_tags)
    return _described(detail.image_manifest_media_type, detail.artifact_media_type, tagged).type is None


_SCHEMA1 = frozenset(each for each in MANIFEST_TYPES if ".manifest.v1+" in each and ".docker." in each)
_IMAGES = MANIFEST_TYPES - INDEX_TYPES - _SCHEMA1
_PLAIN = _IMAGES | _SCHEMA1


def _batches(digests: Sequence[str]) -> list[Sequence[str]]:
    return [digests[i : i + MOST_MANIFESTS] for i in range(0, len(digests), MOST_MANIFESTS)]
