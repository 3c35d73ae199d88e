"""What a world consists of: what a repository holds, and what may go wrong when it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from janitor.core.image import ImageType


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest that a repository holds, and what is true of it.

    ``size_bytes``: manifest, configuration and layers; ``None`` of an index of manifests. ``created_at``:
    what its configuration or its annotation says, unusable times too. ``blobs``: what it needs beside itself.
    """

    digest: str
    body: bytes
    media_type: str
    type: ImageType
    artifact_type: str | None = None
    children: tuple[str, ...] = ()
    subject: str | None = None
    created_at: datetime | None = None
    labels: Mapping[str, str] = {}
    size_bytes: int | None = None
    blobs: tuple[str, ...] = ()
    platform: Mapping[str, str] | None = None
    pushed_at: datetime | None = None
    pulled_at: datetime | None = None

    def descriptor(self, **extra: Any) -> dict[str, Any]:
        named = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}
        return named | ({"platform": dict(self.platform)} if self.platform else {}) | extra


@dataclass(kw_only=True)
class Repository:
    """``tags`` name digests of ``manifests``; ``absent`` are manifests that were once here.

    ``archived``: since when a digest is in the archive class, where a registry has one. ``locked``: digests
    that can't be deleted, in a world that was written down; tests lock in the registry's own way.
    """

    manifests: dict[str, Held] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    tagged_at: dict[str, datetime] = field(default_factory=dict)
    absent: dict[str, Held] = field(default_factory=dict)
    archived: dict[str, datetime] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def copy(self) -> Repository:
        return Repository(
            manifests=dict(self.manifests),
            tags=dict(self.tags),
            tagged_at=dict(self.tagged_at),
            absent=dict(self.absent),
            archived=dict(self.archived),
            locked=set(self.locked),
        )

    def tags_of(self, digest: str) -> frozenset[str]:
        return frozenset(tag for tag, named in self.tags.items() if named == digest)

    def holders_of(self, digest: str) -> frozenset[str]:
        return frozenset(held.digest for held in self.manifests.values() if digest in held.children)

    def referrers_of(self, digest: str) -> tuple[Held, ...]:
        return tuple(held for held in self.manifests.values() if held.subject == digest)

    def delete(self, digest: str) -> None:
        """The manifest goes, and every tag of it."""
        del self.manifests[digest]
        self.archived.pop(digest, None)
        self.locked.discard(digest)
        for tag in self.tags_of(digest):
            self.untag(tag)

    def untag(self, tag: str) -> None:
        del self.tags[tag]
        self.tagged_at.pop(tag, None)


class FaultKind(StrEnum):
    """What may go wrong with a request. The ones of pages concern answers that have a next page."""

    THROTTLE = "throttle"  # 429 with Retry-After
    SPENT = "spent"  # a quota is used up until a time that the answer says
    ERROR = "error"  # a status of the 500s
    RESET = "reset"  # the connection is reset before any answer
    SLOW = "slow"  # the right answer, later
    CUT = "cut"  # the connection ends in the middle of the body
    CUT_JSON = "cut-json"  # half of the body, as if it were all
    LOST_PAGE = "lost-page"  # a page without its Link though more follow: nobody can tell
    REPEATED_PAGE = "repeated-page"  # the Link names the page that it stands on
    ENDLESS_PAGE = "endless-page"  # the Link leads to the same entries under ever other names
    FOREIGN_LINK = "foreign-link"  # the Link names another host
    REDIRECT = "redirect"  # 307 to another host
    WRONG_DIGEST = "wrong-digest"  # other bytes than those of the digest
    UNAUTHORIZED = "unauthorized"  # 401 though the credentials are good
    LOST_ANSWER = "lost-answer"  # done, and then the connection is reset
    GATEWAY = "gateway"  # done, and then 504


@dataclass(kw_only=True)
class Fault:
    """Strikes ``times`` requests that match, after the first ``after`` of them passed."""

    kind: FaultKind
    after: int = 0
    times: int = 1
    match: str = ""
    status: int = 503
    retry_after: str | None = None
    struck: int = 0

    def strikes(self, request: str) -> bool:
        if self.struck >= self.times or re.search(self.match, request) is None:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.struck += 1
        return True
