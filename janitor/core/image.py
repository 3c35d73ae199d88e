"""What a registry holds, as values.

An *image* is one manifest of any type in one repository: an image, an index, a signature, a chart. Its
*children* are the manifests that it names when it is an index; its *subject* is the manifest that it refers
to. Whatever a registry did not say is ``None`` (or ``UNSET`` where ``None`` has a meaning of its own), and
what is unknown never deletes.

Only a listing that is proven whole becomes an :class:`Inventory`; anything else is an error of its registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that knows its offset; decoding refuses any other."""


class ImageType(StrEnum):
    """What an image is, told from its media types and the cosign tag scheme."""

    IMAGE = "image"
    INDEX = "index"
    HELM = "helm"
    SIGNATURE = "signature"
    ATTESTATION = "attestation"
    SBOM = "sbom"
    CACHE = "cache"
    ARTIFACT = "artifact"


class Image(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One manifest of one repository.

    ``children``: digests that an index names, in its order; ``UNSET`` where that could not be read.
    ``pulled_at``: ``None`` means never pulled, ``UNSET`` that nobody knows.
    ``size_bytes``: of an index, of the whole where the registry says so, else ``None``.
    ``changed_at``: a registry's time of last change whose meaning isn't documented; counts for the grace.
    Times are aware; sizes are bytes.
    """

    digest: str
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    artifact_type: str | None = None
    type: ImageType | None = None
    pushed_at: Instant | None = None
    created_at: Instant | None = None
    pulled_at: Instant | UnsetType | None = UNSET
    size_bytes: int | None = None
    children: tuple[str, ...] | UnsetType = UNSET
    subject: str | None = None
    tagged_at: Instant | None = None
    locked: bool = False
    archived_at: Instant | None = None
    labels: Mapping[str, str] | None = None
    changed_at: Instant | None = None


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry can do, as data: plans and tests read it.

    ``keeps_last_tagged``: it never deletes the last image of a repository that has a tag.
    ``cascades``: an image doesn't go without all that refers to it, whatever that is: it may go with it, or
    must have gone before it.
    """

    lists_untagged: bool = True
    records_pushes: bool = False
    records_pulls: bool = False
    deletes: bool = True
    untags: bool = False
    archives: bool = False
    restores: bool = False
    keeps_last_tagged: bool = False
    cascades: bool = False


class Inventory(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that one repository holds; to have one is the proof that its listing was whole."""

    registry: str
    repository: str
    images: tuple[Image, ...]
