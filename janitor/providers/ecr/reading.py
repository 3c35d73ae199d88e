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
from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.core.manifest import IMAGE_CONFIGS, INDEX_TYPES, MANIFEST_TYPES, type_from_media_types
from janitor.net.reading import image_of, known_of, with_config
from janitor.parallel import each
from janitor.providers.ecr.answers import Detail
from janitor.providers.ecr.api import MOST_MANIFESTS, EcrApi
from janitor.providers.interface import Field

_SCHEME = "sha256-"
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+"
_CONFIGS = frozenset({Field.CREATED, Field.LABELS})
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
        unread = [
            detail.image_digest
            for detail in details
            if detail.image_digest not in known
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
        return tuple(self._image(detail, known.get(detail.image_digest)) for detail in details), known

    def _manifests(self, repository: str, digests: Sequence[str]) -> dict[str, Known]:
        bodies = self._api.manifests(repository, digests)
        return {digest: known_of(body, repository) for digest, body in bodies.items()}

    def _image(self, detail: Detail, known: Known | None) -> Image:
        media_type = detail.image_manifest_media_type
        is_index = media_type in INDEX_TYPES or media_type not in MANIFEST_TYPES
        status = detail.image_status
        pushed = detail.image_pushed_at
        if detail.last_activated_at is not None:
            pushed = max(pushed or 0.0, detail.last_activated_at)
        pulled = detail.last_recorded_pull_time
        archived = _SOMETIME if detail.last_archived_at is None else _time(detail.last_archived_at)
        size = None if is_index else detail.image_size_in_bytes
        pushed_at = self._now if status == "ACTIVATING" else None if pushed is None else _time(pushed)
        pulled_at = None if pulled is None else _time(pulled)
        archived_at = archived if status == "ARCHIVED" else None
        locked = status not in _STATUSES
        if known is not None:
            return msgspec.structs.replace(
                image_of(detail.image_digest, known, detail.image_tags),
                pushed_at=pushed_at,
                pulled_at=pulled_at,
                archived_at=archived_at,
                locked=locked,
                size_bytes=size,
            )
        return Image(
            digest=detail.image_digest,
            tags=detail.image_tags,
            media_type=media_type,
            artifact_type=_artifact_type(detail),
            type=_type(detail),
            pushed_at=pushed_at,
            pulled_at=pulled_at,
            size_bytes=size,
            children=UNSET if is_index else (),
            subject=detail.subject_manifest_digest,
            archived_at=archived_at,
            locked=locked,
        )


_STATUSES = frozenset({"ACTIVE", "ARCHIVED", "ACTIVATING"})


def _is_to_read(detail: Detail, wanted: frozenset[Field]) -> bool:
    """Whether more must be known of an image than its description says."""
    media_type = detail.image_manifest_media_type or ""
    if media_type in INDEX_TYPES or media_type not in MANIFEST_TYPES:
        return True
    if media_type.startswith(_SCHEMA1):
        return False
    return bool(wanted & _CONFIGS) or (Field.TYPE in wanted and _type(detail) is None)


def _type(detail: Detail) -> ImageType | None:
    """What an image is, as far as its description tells."""
    media_type, artifact_type = detail.image_manifest_media_type, detail.artifact_media_type
    if detail.image_tags:
        if any(tag.startswith(_SCHEME) for tag in detail.image_tags):
            return type_from_media_types(media_type, artifact_type, detail.image_tags)
    elif artifact_type is None or artifact_type in IMAGE_CONFIGS:
        # BuildKit's attestations have an image's configuration; they have no tag.
        return None if media_type in _IMAGES else _type_of(media_type, artifact_type)
    return _type_of(media_type, artifact_type)


_IMAGES = frozenset(
    each for each in MANIFEST_TYPES if each not in INDEX_TYPES and not each.startswith(_SCHEMA1)
)
_type_of = lru_cache(maxsize=256)(type_from_media_types)


def _artifact_type(detail: Detail) -> str | None:
    """The artifact type, which ECR also fills with the type of an image's configuration."""
    return None if detail.artifact_media_type in IMAGE_CONFIGS else detail.artifact_media_type


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _batches(digests: Sequence[str]) -> list[Sequence[str]]:
    return [digests[i : i + MOST_MANIFESTS] for i in range(0, len(digests), MOST_MANIFESTS)]
