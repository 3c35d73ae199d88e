"""Lists of AWS, which come in pages by tokens: read to their end, each entry once, or not at all.

A page that repeats a token, brings nothing new, or is empty again and again is an error. A token that is no
longer taken starts the list anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from janitor.errors import Malformed

T = TypeVar("T")

RESTARTS = 2  # of a list whose token expired
MAX_EMPTY_PAGES = 100

Page = Callable[[str | None], tuple[Sequence[T], str | None]]


class Rejected(Malformed):
    """The service doesn't take a parameter; of a page, its token."""


class _Anew(Exception):
    """A list must be read from its beginning again."""


def whole(page: Page[T], key: Callable[[T], str], what: str) -> list[T]:
    """Read a list to its end, each entry once.

    ``page`` is given a token, ``None`` for the first page, and gives entries and the token of the next page;
    it raises Rejected where the token isn't taken. ``what`` says what is listed ("the images of team/app").
    Raises RegistryError.
    """
    for _ in range(1 + RESTARTS):
        try:
            return _pages(page, key, what)
        except _Anew as exc:
            why = str(exc)
    raise Malformed(f"{what}: {why}, each of the {1 + RESTARTS} times that they were listed")


def _pages(page: Page[T], key: Callable[[T], str], what: str) -> list[T]:
    found: dict[str, T] = {}
    tokens: set[str] = set()
    token: str | None = None
    empty = 0
    while True:
        try:
            entries, following = page(token)
        except Rejected as exc:
            if token is None:
                raise
            raise _Anew(f"the list was cut off ({exc})") from exc
        before = len(found)
        found.update((key(entry), entry) for entry in entries)
        if not following:
            return list(found.values())
        empty = 0 if entries else empty + 1
        if following in tokens or empty > MAX_EMPTY_PAGES:
            raise Malformed(f"{what}: the pages never end")
        if entries and len(found) == before:
            raise _Anew("a page came twice")
        tokens.add(following)
        token = following
