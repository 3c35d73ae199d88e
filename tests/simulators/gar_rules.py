"""What Artifact Registry lets go, and what right each of its methods asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import grpc

from tests.simulators.truth import Repository
from tests.simulators.world import World

# By method; ``None`` where nothing is asked for.
PERMISSIONS: Mapping[str, str | None] = {
    "ListRepositories": "artifactregistry.repositories.list",
    "GetRepository": "artifactregistry.repositories.get",
    "ListDockerImages": "artifactregistry.dockerimages.list",
    "GetDockerImage": "artifactregistry.dockerimages.get",
    "ListVersions": "artifactregistry.versions.list",
    "GetVersion": "artifactregistry.versions.get",
    "ListTags": "artifactregistry.tags.list",
    "GetTag": "artifactregistry.tags.get",
    "ListPackages": "artifactregistry.packages.list",
    "GetPackage": "artifactregistry.packages.get",
    "DeletePackage": "artifactregistry.packages.delete",
    "CreateTag": "artifactregistry.tags.create",
    "UpdateTag": "artifactregistry.tags.update",
    "DeleteTag": "artifactregistry.tags.delete",
    "DeleteVersion": "artifactregistry.versions.delete",
    "BatchDeleteVersions": "artifactregistry.versions.delete",
    "TestIamPermissions": None,
    "GetOperation": None,
    "ListLocations": "artifactregistry.locations.list",
}
DOWNLOADING = "artifactregistry.repositories.downloadArtifacts"


class Refusal(NamedTuple):
    """A gRPC status and what is said with it."""

    status: grpc.StatusCode
    message: str


class Refused(Exception):
    """A refusal, from further below."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def missing(name: str) -> Refusal:
    return Refusal(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {name}")


def refusal(place: Repository, digest: str, *, force: bool, immutable: bool) -> Refusal | None:
    """Why a version can't go; ``None`` where it can. Integrity holds both ways: up from children, and from
    subjects to what refers to them."""
    if digest not in place.manifests:
        return Refusal(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
    tags = sorted(place.tags_of(digest))
    if tags and (immutable or not force):
        return _failed(f"Manifest is still referenced by tag: {tags[0]}")
    holders = sorted(place.holders_of(digest))
    if holders:
        return _failed(f"Manifest {digest} is referenced by image {holders[0]}")
    if place.referrers_of(digest):
        return _failed(f"Manifest {digest} is still referenced by one or more parent images")
    return None


def batch_refusal(place: Repository, digests: Sequence[str], *, immutable: bool) -> Refusal | None:
    """Why none of a batch can go: one that is refused, or gone. One of which nothing is there succeeds."""
    if not any(digest in place.manifests for digest in digests):
        return None
    found = (refusal(place, digest, force=False, immutable=immutable) for digest in digests)
    return next(filter(None, found), None)


def tag_refusal(immutable: bool) -> Refusal | None:  # noqa: FBT001 - it is all that is asked
    """Why a tag can't be taken off."""
    return _failed("Tag immutability is enabled on this repository") if immutable else None


def delete(world: World, repository: str, digests: Sequence[str]) -> None:
    """They go, with whatever tags they have."""
    for digest in digests:
        if digest in world[repository].manifests:
            world.forget(repository, digest)


def _failed(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)
