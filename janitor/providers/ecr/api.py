"""The operations of ECR that a cleanup needs, and their answers as values.

- An answer without the key that it is about is no answer, and never an empty one.
- A page that repeats a token, brings nothing new, or is empty again and again is an error. A token that is no
  longer taken starts the list anew.
- Images of all classes are described: ECR leaves out archived ones unless it is asked for them, and these
  hold tags, platforms and subjects as others do.
- One missing image fails a description of a hundred: it is taken out, and the others are asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from janitor.core.reference import DIGEST
from janitor.errors import Gone, Malformed, Refused
from janitor.net.answers import Body, verify
from janitor.net.aws import Aws, Meaning
from janitor.net.awslists import Rejected, whole
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.grammar import check_digest, check_name
from janitor.net.http import Http, show, trouble
from janitor.providers.ecr.answers import (
    Deletion,
    Detail,
    Details,
    Download,
    Exclusions,
    Manifests,
    Moved,
    RegistrySettings,
    ReplicationRule,
    Repositories,
    Repository,
)

T = TypeVar("T")

MOST_IDS = 100  # of one request
MOST_MANIFESTS = 25  # of one request: an answer of a hundred may have 400 MiB
PAGE = 1000
MOST_MISSES = 6  # ECR names one missing image at a time; after so many the whole list costs less
BLOB_LIMIT = 8 << 20  # of a configuration

# Asked for an index without these, ECR may answer with one of its platforms, whose digest is another.
ACCEPTED = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
)

_BAD_STATUS = 400
_DIGEST = re.compile(DIGEST)
# Longer than the specification's 128: ECR takes 300.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,299}")


class RepositoryGone(Gone):
    """The repository isn't there."""


class Unreadable(Refused):
    """ECR won't give a manifest: the registry that it comes from doesn't."""


_MEANINGS: Mapping[str, Meaning] = {
    "RepositoryNotFoundException": (Kind.GONE, RepositoryGone),
    "InvalidParameterException": (Kind.FINAL, Rejected),
    "ImageStorageClassUpdateNotSupportedException": (Kind.REFUSED, Refused),
    "UnableToGetUpstreamImageException": (Kind.REFUSED, Unreadable),
    "UnableToGetUpstreamLayerException": (Kind.REFUSED, Gone),
    "LayerInaccessibleException": (Kind.REFUSED, Gone),
    "LimitExceededException": (Kind.FINAL, Malformed),
}


class EcrApi:
    """One account's ECR in one region. Raises RegistryError; used from many threads.

    ``caller`` is the gate before what ECR throttles early, ``reader`` before what it gives thousands a second
    of: manifests and blobs. ``account``: another than that of the credentials.
    """

    def __init__(self, *, aws: Aws, caller: Caller, reader: Caller, http: Http, account: str | None) -> None:
        self._service = aws.service("ecr", _MEANINGS)
        self._is_plain = aws.is_plain
        self._caller = caller
        self._reader = reader
        self._http = http
        self._of_account = {"registryId": account} if account else {}

    @property
    def server_time(self) -> datetime | None:
        """What time it was there at the last answer."""
        return self._service.server_time

    def some_repository(self) -> tuple[Repository, ...]:
        """Any one repository; none where there is none."""
        return self._describe_repositories(maxResults=1).repositories

    def repositories(self) -> tuple[Repository, ...]:
        """All repositories."""

        def page(token: str | None) -> tuple[Sequence[Repository], str | None]:
            answer = self._describe_repositories(maxResults=PAGE, **_after(token))
            return answer.repositories, answer.next_token

        return tuple(whole(page, lambda repository: repository.repository_name, "the repositories"))

    def images(self, repository: str) -> Sequence[Detail]:
        """All images of a repository, of every class; raises RepositoryGone."""

        def page(token: str | None) -> tuple[Sequence[Detail], str | None]:
            answer = self._describe(repository, maxResults=PAGE, **_after(token))
            return answer.image_details, answer.next_token

        return _checked(
            whole(page, lambda detail: detail.image_digest, f"the images of {repository}"), repository
        )

    def described(self, repository: str, digests: Collection[str]) -> dict[str, Detail]:
        """Those of these images that are there; at most a hundred."""
        waiting = dict.fromkeys(digests)
        try:
            for _ in range(MOST_MISSES):
                if not waiting:
                    return {}
                missing = self._describe_these(repository, waiting)
                if isinstance(missing, dict):
                    return missing
                for digest in missing:
                    del waiting[digest]
            return {
                each.image_digest: each for each in self.images(repository) if each.image_digest in waiting
            }
        except RepositoryGone:
            return {}

    def manifests(self, repository: str, digests: Sequence[str]) -> dict[str, Body]:
        """Those of these manifests that can be read, at most :data:`MOST_MANIFESTS`; it counts as a pull."""
        ids = [{"imageDigest": digest} for digest in digests]
        what = f"{len(ids)} manifests of {repository}"
        try:
            answer = self._of(
                repository,
                "batch_get_image",
                Manifests,
                what,
                caller=self._reader,
                imageIds=ids,
                acceptedMediaTypes=ACCEPTED,
            )
        except Unreadable:
            return {}
        bodies: dict[str, Body] = {}
        for entry in answer.images:
            digest, content = entry.image_id.image_digest or "", entry.image_manifest.encode()
            verify(check_digest(digest), content, f"the manifest {repository}@{digest}")
            media_type = entry.image_manifest_media_type or ""
            bodies[digest] = Body(digest=digest, media_type=media_type, content=content)
        told = bodies.keys() | {failure.image_id.image_digest for failure in answer.failures}
        if told != set(digests):
            raise Malformed(f"{what}: ECR answered for {len(told)} others or fewer")
        return bodies

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob, by the address that ECR gives for it; raises Gone."""
        what = f"the blob {repository}@{digest}"
        answer = self._of(
            repository,
            "get_download_url_for_layer",
            Download,
            what,
            caller=self._reader,
            layerDigest=check_digest(digest),
        )
        return self._reader.call(lambda: self._fetch(answer.download_url, digest, what), purpose=Purpose.LIST)

    def delete(
        self, repository: str, digests: Sequence[str], *, purpose: Purpose = Purpose.DELETE
    ) -> Deletion:
        """Delete these images, at most a hundred, each with all of its tags."""
        ids = [{"imageDigest": digest} for digest in digests]
        return self._delete(repository, ids, f"deleting {len(ids)} images of {repository}", purpose)

    def untag(self, repository: str, digest: str, tags: Sequence[str]) -> Deletion:
        """Take these tags off, at most a hundred, where they are on this image still."""
        ids = [{"imageDigest": digest, "imageTag": tag} for tag in tags]
        return self._delete(repository, ids, f"untagging {repository}@{digest}", Purpose.DELETE)

    def move(
        self, repository: str, digest: str, storage_class: str, *, purpose: Purpose = Purpose.DELETE
    ) -> str:
        """Move an image to ARCHIVE or STANDARD; its status is returned. Raises Gone, and Refused."""
        answer = self._of(
            repository,
            "update_image_storage_class",
            Moved,
            f"moving {repository}@{digest} to {storage_class}",
            purpose=purpose,
            imageId={"imageDigest": digest},
            targetStorageClass=storage_class,
        )
        return answer.image_status

    def replication(self) -> tuple[ReplicationRule, ...]:
        """How this registry is replicated; of the account of the credentials alone."""
        answer = self._service.ask(
            self._caller, "describe_registry", RegistrySettings, "the replication", purpose=Purpose.OTHER
        )
        return answer.replication_configuration.rules

    def pull_time_exclusions(self) -> frozenset[str]:
        """Whose pulls don't count; of the account of the credentials alone."""

        def page(token: str | None) -> tuple[Sequence[str], str | None]:
            answer = self._service.ask(
                self._caller,
                "list_pull_time_update_exclusions",
                Exclusions,
                "the pull-time exclusions",
                purpose=Purpose.OTHER,
                **_after(token),
            )
            return answer.pull_time_update_exclusions, answer.next_token

        return frozenset(whole(page, str, "the pull-time exclusions"))

    def _describe_repositories(self, **parameters: Any) -> Repositories:
        return self._service.ask(
            self._caller,
            "describe_repositories",
            Repositories,
            "the repositories",
            purpose=Purpose.LIST,
            **self._of_account,
            **parameters,
        )

    def _describe(self, repository: str, **parameters: Any) -> Details:
        what = f"the images of {repository}"
        every = {"imageStatus": "ANY"}
        return self._of(repository, "describe_images", Details, what, filter=every, **parameters)

    def _describe_these(
        self, repository: str, waiting: Collection[str]
    ) -> dict[str, Detail] | frozenset[str]:
        """Describe these images; where one is missing, ECR says only which."""
        try:
            answer = self._describe(repository, imageIds=[{"imageDigest": digest} for digest in waiting])
        except RepositoryGone:
            raise
        except Gone as exc:
            return frozenset(_DIGEST.findall(exc.message)).intersection(waiting)
        found = {detail.image_digest: detail for detail in _checked(answer.image_details, repository)}
        if answer.next_token or found.keys() != set(waiting):
            raise Malformed(f"ECR described other images of {repository} than it was asked for")
        return found

    def _delete(
        self, repository: str, ids: Sequence[Mapping[str, str]], what: str, purpose: Purpose
    ) -> Deletion:
        return self._of(repository, "batch_delete_image", Deletion, what, purpose=purpose, imageIds=ids)

    def _of(
        self,
        repository: str,
        operation: str,
        answer: type[T],
        what: str,
        *,
        caller: Caller | None = None,
        purpose: Purpose = Purpose.LIST,
        **parameters: Any,
    ) -> T:
        """Ask something of one repository."""
        name = {"repositoryName": check_name(repository)}
        return self._service.ask(
            caller or self._caller,
            operation,
            answer,
            what,
            purpose=purpose,
            **self._of_account,
            **name,
            **parameters,
        )

    def _fetch(self, url: str, digest: str, what: str) -> bytes:
        """Read a blob where ECR says that it is; the address is a secret itself, and takes no other."""
        if urlsplit(url).scheme != "https" and not self._is_plain:
            raise Malformed(f"{what} is said to be at {show(url)}, which is not HTTPS")
        response = self._http.request("GET", url, limit=BLOB_LIMIT)
        if response.status >= _BAD_STATUS:
            raise trouble(response, what, "")
        try:
            verify(digest, response.body, what)
        except Malformed as exc:
            raise Trouble(Kind.TRANSIENT, exc) from exc
        return response.body


def _after(token: str | None) -> dict[str, str]:
    return {} if token is None else {"nextToken": token}


def _checked(details: Sequence[Detail], repository: str) -> Sequence[Detail]:
    """See to it that digests and tags are some, all at once: a page has a thousand of them."""
    digests = [detail.image_digest for detail in details]
    tags = [tag for detail in details for tag in detail.image_tags]
    if not all(map(_DIGEST.fullmatch, digests)):
        wrong = next(digest for digest in digests if not _DIGEST.fullmatch(digest))
        raise Malformed(f"ECR lists {wrong[:100]!r} in {repository}, which is no digest")
    if not all(map(_TAG.fullmatch, tags)):
        wrong = next(tag for tag in tags if not _TAG.fullmatch(tag))
        raise Malformed(f"ECR lists {wrong[:100]!r} in {repository}, which is no tag")
    return details
