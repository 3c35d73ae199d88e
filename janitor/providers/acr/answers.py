"""What the calls of an Azure container registry answer, and what their failures mean.

Answers are read leniently, since versions of the service leave out and add: what isn't there is unknown. But
a page without its list is no page.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from janitor.core.units import parse_time
from janitor.errors import Malformed, Refused, Unsupported
from janitor.net.answers import Unsaid
from janitor.net.caller import Kind, Trouble
from janitor.net.grammar import check_digest, check_name, check_tag
from janitor.net.http import Response, trouble

_UNKNOWN_CODES = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "TAG_UNKNOWN", "BLOB_UNKNOWN"})
DISALLOWED = "REGISTRY_DISALLOWED_OPERATION"


class Attributes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The four switches of a repository, a manifest or a tag; one that isn't said is on."""

    delete_enabled: bool | None = None
    write_enabled: bool | None = None
    list_enabled: bool | None = None
    read_enabled: bool | None = None

    @property
    def is_locked(self) -> bool:
        """Whether it can't be deleted: either switch does that."""
        return self.delete_enabled is False or self.write_enabled is False


_ALL_ON = Attributes()


class _Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    created_time: str | None = None
    last_update_time: str | None = None
    changeable_attributes: Attributes | None = None

    @property
    def attributes(self) -> Attributes:
        return self.changeable_attributes or _ALL_ON

    @property
    def latest(self) -> datetime | None:
        """The later of its two times: what happened to it last, and whatever that was, it was not before."""
        times = [time for time in map(_time, (self.created_time, self.last_update_time)) if time]
        return max(times, default=None)


class RepositoryEntry(_Entry, frozen=True, kw_only=True, rename="camel"):
    """A repository, with how much it says it holds."""

    manifest_count: int | None = None
    tag_count: int | None = None


class ManifestEntry(_Entry, frozen=True, kw_only=True, rename="camel"):
    """A manifest of a list. Its size is left out: some have the layers in it, some are the manifest's own."""

    digest: str
    media_type: str | None = None
    tags: tuple[str, ...] | None = None


class TagEntry(_Entry, frozen=True, kw_only=True, rename="camel"):
    """A tag of a list, with switches and times of its own."""

    name: str
    digest: str


class DeletedEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A manifest that was deleted and is kept for a while."""

    digest: str


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """A page of names; an empty registry may say null."""

    repositories: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.repositories or ())

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the names, each as its own value."""
        for name in self.repositories or ():
            yield check_name(name), name


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """A page of manifests."""

    manifests: tuple[ManifestEntry, ...] | None

    def __len__(self) -> int:
        return len(self.manifests or ())

    def items(self) -> Iterator[tuple[str, ManifestEntry]]:
        """Yield the manifests by digest."""
        for entry in self.manifests or ():
            yield check_digest(entry.digest), entry


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """A page of tags. A repository without any may leave the list out; the count of tags tells the rest."""

    tags: tuple[TagEntry, ...] | None = None

    def __len__(self) -> int:
        return len(self.tags or ())

    def items(self) -> Iterator[tuple[str, TagEntry]]:
        """Yield the tags by name."""
        for entry in self.tags or ():
            check_digest(entry.digest)
            yield check_tag(entry.name), entry


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what was deleted and is kept."""

    manifests: tuple[DeletedEntry, ...] | None = None

    def __len__(self) -> int:
        return len(self.manifests or ())

    def items(self) -> Iterator[tuple[str, DeletedEntry]]:
        """Yield the manifests by digest."""
        for entry in self.manifests or ():
            yield check_digest(entry.digest), entry


class _Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    digest: str


class Referrers(msgspec.Struct, frozen=True, kw_only=True):
    """A page of referrers: an index, of which only the digests are believed."""

    manifests: tuple[_Descriptor, ...] | None

    def __len__(self) -> int:
        return len(self.manifests or ())

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the digests, each as its own value."""
        for entry in self.manifests or ():
            yield check_digest(entry.digest), entry.digest


class OneManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that was asked for by its digest."""

    manifest: ManifestEntry


class OneTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that was asked for by its name."""

    tag: TagEntry


def read_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell what is gone from what some proxy doesn't know: only the registry's own words count."""
    said = _traceable(response, said)
    found = trouble(response, what, said)
    if found.verdict.kind is Kind.GONE and said.partition(" ")[0] not in _UNKNOWN_CODES:
        return Trouble(Kind.FINAL, Malformed(f"{found}; this is no answer of a registry"))
    return found


def content_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell what refusals of manifests and blobs mean; blobs are answered by a storage with its own words."""
    if "/manifests/" in response.url:
        return read_trouble(response, what, said)
    return trouble(response, what, _traceable(response, said))


def delete_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell a lock, which stays, from what failed this time."""
    said = _traceable(response, said)
    found = trouble(response, what, said)
    code = said.partition(" ")[0]
    if response.status == _NOT_ALLOWED:
        hint = "a lock on the image, on a tag of it or on the repository (deleteEnabled or writeEnabled)"
        hint += " keeps it" if code == DISALLOWED else " may keep it"
        return Trouble(Kind.REFUSED, Refused(f"{found}; {hint}"))
    if found.verdict.kind is Kind.GONE and code not in _UNKNOWN_CODES:
        return Trouble(Kind.GONE, Unsaid(str(found)))
    return found


def deleted_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell a registry that keeps nothing of what was deleted."""
    said = _traceable(response, said)
    code = said.partition(" ")[0]
    found = trouble(response, what, said)
    if response.status in _NO_SUCH_CALL and code not in _UNKNOWN_CODES:
        return Trouble(Kind.FINAL, Unsupported(f"{found}; soft delete is not switched on there"))
    return found


_NOT_ALLOWED = 405
_NO_SUCH_CALL = frozenset({400, 404, 405, 501})


def _traceable(response: Response, said: str) -> str:
    """Add the id by which the service's support finds the request."""
    trace = response.header("X-Ms-Correlation-Request-Id")
    if not trace or not trace.isascii() or not trace.isprintable():
        return said
    return f"{said} (correlation id {trace[:_TRACE_LIMIT]})".lstrip()


_TRACE_LIMIT = 64  # characters; it is a UUID


def _time(text: str | None) -> datetime | None:
    """Read a time of up to seven digits below the second; what is none is unknown."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
