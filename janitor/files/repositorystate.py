"""What is kept of one repository from run to run.

A few files a repository, each rewritten as a whole and only when it says something new: what was read of its
manifests (a manifest never changes under its digest), when its digests and tags were first seen, what came
back after a deletion, and what an earlier run left behind. What a registry no longer has is dropped. A file
begins with the SHA-256 of the rest: one that is torn, foreign, of another repository or of another version
counts as none, and what it said is read again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from janitor.core.image import Image, Instant
from janitor.core.known import Known
from janitor.core.leftover import Leftover
from janitor.core.reference import is_digest
from janitor.decoding import decode
from janitor.errors import FileError
from janitor.files.atomic import PRIVATE, write_atomically
from janitor.files.statefolder import safe_name

_VERSION = 1
_HASH_LENGTH = 64

# The hash line of a file: 64 digits and a line end.
_HEAD = _HASH_LENGTH + 1


class _Manifests(msgspec.Struct, frozen=True, kw_only=True):
    version: int = _VERSION
    registry: str
    repository: str
    known: dict[str, Known]


class _Tagged(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A tag on a digest; ``since`` as in :class:`_Seen`."""

    digest: str
    since: Instant | None


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """When something was first seen; ``None``: it was there when the folder first met the repository."""

    version: int = _VERSION
    registry: str
    repository: str
    first_met: Instant
    digests: dict[str, Instant | None]
    tags: dict[str, _Tagged]


class _Returned(msgspec.Struct, frozen=True, kw_only=True):
    """When digests that had been deleted came back."""

    version: int = _VERSION
    registry: str
    repository: str
    digests: dict[str, Instant]


class _Left(msgspec.Struct, frozen=True, kw_only=True):
    """What should have gone along with something that was deleted, and was left."""

    version: int = _VERSION
    registry: str
    repository: str
    digests: dict[str, Leftover]


_T = TypeVar("_T", _Manifests, _Seen, _Returned, _Left)


class RepositoryStates:
    """The kept state of every repository; safe to call from several threads.

    Without a folder nothing is kept, and nothing is known. What can't be written is no reason to stop: the
    next run reads it again; ``trouble`` then says what was in the way, else it is ``None``.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._making = threading.Lock()
        self.trouble: str | None = None

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        """Return what is known of the manifests of a repository, by digest; empty where nothing was kept."""
        kept = self._read("manifests", registry, repository, _Manifests)
        if kept is None or not all(map(_sound, kept.known, kept.known.values())):
            return {}
        return kept.known

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        """Keep exactly this of a repository, which was just listed whole."""
        value = _Manifests(registry=registry, repository=repository, known=dict(known))
        self._write("manifests", value)

    def placed(
        self, registry: str, repository: str, images: Iterable[Image], now: datetime
    ) -> tuple[Image, ...]:
        """Give the images of a whole listing, each with the time at which it, or a tag on it, appeared here.

        Fills ``tagged_at`` where the registry gives none: with the time at which a tag was first seen on the
        digest, or, where the registry gives no push either, the digest itself, whichever is later. What was
        there at the first meeting gets nothing. What is new was first seen ``now``, and is kept.
        """
        images = tuple(images)
        if self._folder is None:
            return images
        before = self._read("seen", registry, repository, _Seen)
        digests = {image.digest: _since_of(image.digest, before, now) for image in images}
        tags = {
            tag: _Tagged(digest=image.digest, since=_since_on(tag, image.digest, before, now))
            for image in images
            for tag in image.tags
        }
        first_met = now if before is None else before.first_met
        self._write(
            "seen",
            _Seen(registry=registry, repository=repository, first_met=first_met, digests=digests, tags=tags),
        )
        returned = self._returned(registry, repository, digests)
        if before is not None:
            images = tuple(_with_time(image, digests[image.digest], tags, now) for image in images)
        if returned:
            images = tuple(_arrived(image, returned.get(image.digest), now) for image in images)
        return images

    def returned(self, registry: str, repository: str, digests: Iterable[str], now: datetime) -> None:
        """Note that these digests came back ``now``: they count as arrived then."""
        before = self._read("returned", registry, repository, _Returned)
        known = {} if before is None else dict(before.digests)
        known.update(dict.fromkeys(digests, now))
        self._write("returned", _Returned(registry=registry, repository=repository, digests=known))

    def leftovers(self, registry: str, repository: str) -> Mapping[str, Leftover]:
        """Return what earlier runs left behind in a repository, by digest."""
        kept = self._read("left", registry, repository, _Left)
        return {} if kept is None else kept.digests

    def leave(self, registry: str, repository: str, leftovers: Mapping[str, Leftover]) -> None:
        """Keep exactly this as left behind; nothing leaves no file."""
        path = self._path("left", registry, repository)
        if not leftovers and path is not None and not path.exists():
            return
        self._write("left", _Left(registry=registry, repository=repository, digests=dict(leftovers)))

    def _returned(
        self, registry: str, repository: str, there: Mapping[str, object]
    ) -> Mapping[str, datetime]:
        """What came back once and is there still; the rest is forgotten."""
        before = self._read("returned", registry, repository, _Returned)
        if before is None:
            return {}
        known = {digest: at for digest, at in before.digests.items() if digest in there}
        if len(known) < len(before.digests):
            self._write("returned", _Returned(registry=registry, repository=repository, digests=known))
        return known

    def _path(self, kind: str, registry: str, repository: str) -> Path | None:
        return None if self._folder is None else self._folder / kind / safe_name(registry, repository)

    def _read(self, kind: str, registry: str, repository: str, shape: type[_T]) -> _T | None:
        path = self._path(kind, registry, repository)
        if path is None:
            return None
        try:
            data = path.read_bytes()
            head, body = data[:_HEAD], data[_HEAD:]
            if head != _head(body):
                return None
            value = decode(body, shape)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if (value.version, value.registry, value.repository) != (_VERSION, registry, repository):
            return None
        return value

    def _write(self, kind: str, value: _Manifests | _Seen | _Returned | _Left) -> None:
        path = self._path(kind, value.registry, value.repository)
        if path is None:
            return
        body = msgspec.json.encode(value, order="deterministic")
        data = _head(body) + body
        if _holds(path, data):
            return
        try:
            with self._making:
                path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(path, data, mode=PRIVATE)
        except (OSError, FileError) as error:
            self.trouble = str(error)


def _head(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _sound(digest: str, known: Known) -> bool:
    # A child or a subject that is misread would be an image that nothing holds.
    names = (digest, *known.children, *(each for each in (known.subject, known.config_digest) if each))
    created = known.created_at
    return all(map(is_digest, names)) and (created is None or created.tzinfo is not None)


def _since_of(digest: str, before: _Seen | None, now: datetime) -> datetime | None:
    return None if before is None else before.digests.get(digest, now)


def _since_on(tag: str, digest: str, before: _Seen | None, now: datetime) -> datetime | None:
    if before is None:
        return None
    seen = before.tags.get(tag)
    return seen.since if seen is not None and seen.digest == digest else now


def _arrived(image: Image, at: datetime | None, now: datetime) -> Image:
    """Give an image that came back the time of that, where it is later than what else is known."""
    if at is None or (image.tagged_at is not None and image.tagged_at >= at):
        return image
    return msgspec.structs.replace(image, tagged_at=min(at, now))


def _with_time(image: Image, since: datetime | None, tags: Mapping[str, _Tagged], now: datetime) -> Image:
    if image.tagged_at is not None:
        return image
    times = [tags[tag].since for tag in image.tags]
    if image.pushed_at is None:
        times.append(since)
    # What a clock that was set back since saw later than now was seen now at the latest, and counts as young.
    known = [min(each, now) for each in times if each is not None]
    return msgspec.structs.replace(image, tagged_at=max(known)) if known else image
