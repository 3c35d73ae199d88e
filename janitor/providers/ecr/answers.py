"""What ECR answers, as values: names as AWS writes them, and no more than matters here.

A key without a default must be there: an answer without what it is about is none.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class _Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What all answers have in common: names as AWS writes them."""


class Repository(_Answer, frozen=True, kw_only=True):
    """One repository, as far as it matters here."""

    registry_id: str
    repository_name: str
    repository_uri: str = ""
    image_tag_mutability: str = "MUTABLE"


class Detail(_Answer, frozen=True, kw_only=True, gc=False):
    """One image as ECR describes it; times in seconds since 1970, and absent where there is none."""

    registry_id: str
    image_digest: str
    image_tags: tuple[str, ...] = ()
    image_size_in_bytes: int | None = None
    image_pushed_at: float | None = None
    image_manifest_media_type: str | None = None
    artifact_media_type: str | None = None
    subject_manifest_digest: str | None = None
    last_recorded_pull_time: float | None = None
    image_status: str = "ACTIVE"
    last_archived_at: float | None = None
    last_activated_at: float | None = None


class Repositories(_Answer, frozen=True, kw_only=True):
    """A page of repositories."""

    repositories: tuple[Repository, ...]
    next_token: str | None = None


class Details(_Answer, frozen=True, kw_only=True):
    """A page of images."""

    image_details: tuple[Detail, ...]
    next_token: str | None = None


class ImageId(_Answer, frozen=True, kw_only=True):
    """An image by its digest, a tag of it, or both."""

    image_digest: str | None = None
    image_tag: str | None = None


class Failure(_Answer, frozen=True, kw_only=True):
    """Why something wasn't done to one image of several."""

    image_id: ImageId
    failure_code: str
    failure_reason: str = ""

    def __str__(self) -> str:
        return f"{self.failure_code}: {self.failure_reason}" if self.failure_reason else self.failure_code


class Manifest(_Answer, frozen=True, kw_only=True):
    """A manifest's text, exactly."""

    image_id: ImageId
    image_manifest: str
    image_manifest_media_type: str | None = None


class Manifests(_Answer, frozen=True, kw_only=True):
    """Manifests: an entry for each tag of each."""

    images: tuple[Manifest, ...]
    failures: tuple[Failure, ...]


class Deletion(_Answer, frozen=True, kw_only=True):
    """What a deletion did: an entry a tag that went, and one for each that failed."""

    image_ids: tuple[ImageId, ...]
    failures: tuple[Failure, ...]

    @property
    def gone(self) -> frozenset[str]:
        """The digests that something of was deleted."""
        return frozenset(each.image_digest for each in self.image_ids if each.image_digest)

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The failures, by digest."""
        return {each.image_id.image_digest: each for each in self.failures if each.image_id.image_digest}


class Moved(_Answer, frozen=True, kw_only=True):
    """The class that an image is in now."""

    image_status: str


class Download(_Answer, frozen=True, kw_only=True):
    """Where a blob can be read, without credentials."""

    download_url: str


class Destination(_Answer, frozen=True, kw_only=True):
    """Another registry."""

    region: str
    registry_id: str

    def __str__(self) -> str:
        return f"{self.registry_id}/{self.region}"


class _Switch(_Answer, frozen=True, kw_only=True):
    enabled: bool = False


class ReplicationRule(_Answer, frozen=True, kw_only=True):
    """Where images are copied to, and whether deletions are."""

    destinations: tuple[Destination, ...] = ()
    delete_replication: _Switch = _Switch()


class Replication(_Answer, frozen=True, kw_only=True):
    """The rules of a registry."""

    rules: tuple[ReplicationRule, ...] = ()


class RegistrySettings(_Answer, frozen=True, kw_only=True):
    """What holds for a whole registry."""

    registry_id: str
    replication_configuration: Replication = Replication()


class Exclusions(_Answer, frozen=True, kw_only=True):
    """A page of those whose pulls don't count."""

    pull_time_update_exclusions: tuple[str, ...]
    next_token: str | None = None
