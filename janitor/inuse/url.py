"""A list of references that is fetched: as ``file``, by http or https.

The answer is read whole or is a problem: one that is too large, cut, an error, a page for people or a page
that asks to log in names nothing. A user and password in the address are sent as Basic; no message shows
them, nor what follows the ``?``.
"""

from __future__ import annotations

import base64
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import msgspec

from janitor.errors import Malformed
from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import UrlKeys
from janitor.inuse.lines import read_lines
from janitor.net.caller import Purpose
from janitor.net.http import Http, Response, show, trouble

MAX_BYTES = 16 << 20  # a hundred thousand references have some 10 MiB
_OK = 200
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")


class UrlSource(Source[UrlKeys]):
    """The references that one address answers with."""

    kind: ClassVar[str] = "url"
    keys: ClassVar[type[msgspec.Struct]] = UrlKeys

    @property
    def name(self) -> str:
        """``url: ADDRESS``, without what may be secret."""
        return f"url: {show(self._keys.url)}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:  # noqa: ARG002 - the interface's
        address = self._address()
        http = Http(environ=context.environ, clock=context.clock)
        try:
            body = context.caller().call(lambda: self._fetch(http, address), purpose=Purpose.LIST)
        finally:
            http.close()
        read_lines(body, show(address), found)

    def _address(self) -> str:
        """Say what is asked: the address, at another place where there is an endpoint."""
        if self._keys.endpoint is None:
            return self._keys.url
        _, _, rest = self._keys.url.partition("://")
        _, slash, path = rest.partition("/")
        return f"{self._keys.endpoint.rstrip('/')}{slash}{path}"

    def _fetch(self, http: Http, address: str) -> bytes:
        what = f"the list at {show(address)}"
        headers = {"Accept": "text/plain, */*;q=0.5", **_authorization(self._keys.url)}
        response = http.request("GET", _without_user(address), headers=headers, limit=MAX_BYTES)
        if response.status != _OK:
            raise trouble(response, what, "")
        if _is_page(response):
            raise Malformed(f"{what} is a page for people, not a list of references; is a login asked for?")
        return response.body


def _authorization(url: str) -> dict[str, str]:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(unquote(user).encode()).decode()}"}


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _is_page(response: Response) -> bool:
    start = response.body[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return response.media_type in _PAGES or start.startswith(_PAGE_STARTS)
