"""What the Hub API answers, and what it means.

- Every value may be absent, null or empty: what isn't said is unknown. A pull time that is null, empty or of
  the year 1 means that there was no pull; one that can't be read is unknown.
- The time until which one is to wait is ``X-Retry-After``, in seconds since 1970, by the server's clock.
- 403 is a lack of rights, and no lock; so is a 500 that tells of a 401 or 403 behind it. The registry's 403
  to a deletion is another: the manifest is still named, by a tag or by another manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.units import parse_time
from janitor.errors import Denied, Refused, Unreachable
from janitor.net.answers import delete_trouble
from janitor.net.caller import Kind, Trouble
from janitor.net.http import Response, retry_after, trouble

_FIRST_STAMP = 1_000_000_000.0  # seconds since 1970; a smaller number in X-Retry-After is a time to wait
# How a refusal of the registry behind the Hub API looks, within a 500.
_REFUSED_BEHIND = re.compile(r"non-successful response \(status=40[13]")
_UNKNOWN = frozenset({"", "unknown"})


class TagImage(msgspec.Struct, frozen=True, kw_only=True):
    """One platform of a tag; ``digest`` is null or empty where Docker Hub lost it."""

    digest: str | None = None
    architecture: str | None = None
    os: str | None = None
    size: int | None = None
    last_pulled: str | UnsetType | None = UNSET
    last_pushed: str | None = None

    @property
    def is_image(self) -> bool:
        """Whether it runs somewhere; attestations and other artifacts are ``unknown/unknown``."""
        return not {self.os or "", self.architecture or ""} & _UNKNOWN


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One tag. ``digest`` and ``media_type`` are absent of old ones."""

    name: str
    digest: str | None = None
    media_type: str | None = None
    content_type: str | None = None
    images: tuple[TagImage, ...] | None = None
    full_size: int | None = None
    last_updated: str | None = None
    tag_last_pushed: str | None = None
    tag_last_pulled: str | UnsetType | None = UNSET


class RepositoryName(msgspec.Struct, frozen=True, kw_only=True):
    """One repository, as lists of them have it."""

    name: str


class ImmutableTags(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags can be neither overwritten nor deleted; without rules, all."""

    enabled: bool = False
    rules: tuple[str, ...] | None = None


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may do in a repository; what the token allows is not in it."""

    read: bool = False
    write: bool = False
    admin: bool = False


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """One repository, as it is asked for alone."""

    name: str
    is_private: bool | None = None
    permissions: Permissions | None = None
    immutable_tags_settings: ImmutableTags | None = None


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; ``count`` is of the whole list, ``next`` an absolute address or null."""

    count: int
    next: str | None
    results: tuple[T, ...]


def pull_time(text: str | UnsetType | None) -> datetime | UnsetType | None:
    """Read a pull time; ``None``: never pulled, ``UNSET``: unknown."""
    if isinstance(text, UnsetType):
        return UNSET
    if not text:
        return None
    time = _time(text)
    if time is None:
        return UNSET
    return None if time.year == 1 else time


def push_time(text: str | None) -> datetime | None:
    """Read a time; ``None`` where there is none that means anything."""
    time = _time(text) if text else None
    return None if time is None or time.year == 1 else time


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def hub_trouble(response: Response, what: str, said: str, now: Callable[[], datetime]) -> Trouble:
    """Tell what a refusal of the Hub API means."""
    found = trouble(response, what, said)
    if found.verdict.kind is Kind.THROTTLED:
        return Trouble(Kind.THROTTLED, found.verdict.error, retry_after=_wait(response, now))
    if response.status == 500 and _REFUSED_BEHIND.search(said):  # noqa: PLR2004 - as it is told
        return Trouble(Kind.DENIED, Denied(str(found)))
    return found


def _wait(response: Response, now: Callable[[], datetime]) -> float | None:
    value = (response.header("X-Retry-After") or "").strip()
    if not value.isascii() or not value.replace(".", "", 1).isdigit():
        return retry_after(response)
    until = float(value)
    if until < _FIRST_STAMP:
        return until
    return max(0.0, until - (server_time(response) or now()).timestamp())


def server_time(response: Response) -> datetime | None:
    """Tell the server's own time, where it says it."""
    try:
        return parsedate_to_datetime(response.header("Date") or "").astimezone(UTC)
    except ValueError:
        return None


class Pending(Unreachable):
    """The registry could not delete a manifest at once, and goes on trying by itself."""


class StillNamed(Refused):
    """A tag or another manifest names what was to be deleted."""


def registry_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell a pull limit, which lasts hours, from too many requests at once, which pass."""
    found = trouble(response, what, said)
    if found.verdict.kind is not Kind.THROTTLED or "pull rate limit" not in said:
        return found
    return Trouble(
        Kind.FINAL,
        Unreachable(
            f"{found}; reading an index counts as a pull, once: what was read is kept in the state folder,"
            " so try again when the limit has passed (within 6 hours), or with an account of a paid plan"
        ),
    )


def deletion_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell what the registry's answer to the deletion of a manifest means."""
    match response.status:
        case 403:
            text = "the registry answered 403: a tag or another manifest, perhaps an untagged one, names it"
            return Trouble(Kind.REFUSED, StillNamed(f"{what}: {text}{f' ({said})' if said else ''}"))
        case 405:
            text = "the registry answered 405: it doesn't delete manifests by digest"
            return Trouble(Kind.REFUSED, Refused(f"{what}: {text}{f' ({said})' if said else ''}"))
        case 500:
            text = f"{what}: the registry answered 500, and goes on deleting it by itself"
            return Trouble(Kind.FINAL, Pending(text))
        case _:
            return delete_trouble(response, what, said)
