"""Asking one registry over HTTP: authorized, through its gate, page by page; a client that believes nothing.

- A request carries its authorization from the start; after a 401 it is authorized afresh once, then denied.
- Pages are followed by their Link, word for word and on the same origin only; a Link that was there before
  and a listing without end are Malformed.
- What arrives is read within the attempt, so that an answer that was cut is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec

from janitor.errors import Denied, Gone, Malformed
from janitor.net.bearer import Scope
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.grammar import next_link
from janitor.net.http import JSON_LIMIT, Http, Response, join, origin_of, show, trouble
from janitor.net.ocierrors import first_error

T = TypeVar("T")

MAX_PAGES = 20_000
MAX_EMPTY_PAGES = 100  # in a row; Quay gives an empty one where nothing on it may be seen
MAX_CHALLENGES = 8  # to one request, where other threads renew the token again and again
RESTARTS = 2  # of a listing whose next page vanished

_UNAUTHORIZED = 401
_REDIRECTED = 300
_JSON: Mapping[str, str] = MappingProxyType({"Accept": "application/json"})


class Authorizer(Protocol):
    """Gives the requests to one registry their ``Authorization``. Used from many threads."""

    def header(self, scope: Scope) -> str | None:
        """Return the value of ``Authorization``, or ``None`` where none is known to be wanted."""

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:
        """Take in a 401 to a request that carried ``sent``; tell whether it is worth sending it again."""

    def accepted(self, sent: str | None) -> None:
        """Take in that a request with this ``Authorization`` was let in."""

    def is_current(self, sent: str) -> bool:
        """Whether an ``Authorization`` is what would be sent again."""

    def secrets(self, scope: Scope) -> tuple[str, ...]:
        """Everything that a server could echo and no message may show."""

    def advice(self, scope: Scope) -> str:
        """Say what to look at when a request was denied."""


class Page(Protocol):
    """One page of a listing; its length counts entries."""

    def __len__(self) -> int: ...


P = TypeVar("P", bound=Page)


class Request(msgspec.Struct, kw_only=True):
    """One request and how its answer is taken.

    ``what`` is asked for, as messages say it. ``failed`` makes the trouble of a status that is no success,
    from the answer, ``what``, and what the registry said. ``turns`` and ``finishing`` as
    the gate has them. ``lost`` counts the attempts that got no answer.
    """

    method: str = "GET"
    url: str
    scope: Scope
    what: str
    headers: Mapping[str, str] = _JSON
    body: bytes | None = None
    purpose: Purpose = Purpose.LIST
    limit: int = JSON_LIMIT
    failed: Callable[[Response, str, str], Trouble] = trouble
    turns: int = 1
    finishing: bool = False
    lost: int = 0


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must be so when a request is sent: ``holds`` raises Trouble where the answer says otherwise.

    The request that looks is authorized as the one that it stands before, and isn't counted by itself.
    """

    request: Request
    holds: Callable[[Response], None]


class PageGone(Exception):
    """The next page of a listing is gone: what it was to begin after was deleted."""


class Asking:
    """Sends the requests to one registry. Used from many threads; everything raises RegistryError."""

    def __init__(self, *, endpoint: str, http: Http, caller: Caller, authorizer: Authorizer) -> None:
        self._origin = origin_of(endpoint)
        self._http = http
        self._caller = caller
        self._authorizer = authorizer

    def ask(self, request: Request, read: Callable[[Response], T], *, only_if: Condition | None = None) -> T:
        """Send a request, authorized; once more if its own authorization was not enough.

        What a server asks for before it got anything, and a token that another thread renewed meanwhile, are
        no refusals. ``only_if`` is looked at in the same turn right before each attempt.
        """
        refused = challenged = 0
        while True:
            sent = self._authorizer.header(request.scope)
            answer = self._call(request, read, sent, only_if)
            if not isinstance(answer, _Challenged):
                self._authorizer.accepted(sent)
                return answer
            challenged += 1
            refused += sent is not None and self._authorizer.is_current(sent)
            if refused > 1 or challenged >= MAX_CHALLENGES or not self._learn(answer, request.scope, sent):
                raise self._denied(request, answer.response)

    def pages(self, first: Request, read: Callable[[Response], P]) -> Iterator[P]:
        """Read a listing page by page; raises PageGone where a page but the first is gone."""
        url: str | None = first.url
        asked: set[str] = set()
        empty = 0
        while url is not None:
            if url in asked or len(asked) >= MAX_PAGES or empty > MAX_EMPTY_PAGES:
                raise Malformed(f"{first.what}: the pages of {show(url)} never end")
            asked.add(url)
            try:
                page, url = self._page(msgspec.structs.replace(first, url=url), read)
            except Gone as exc:
                if len(asked) > 1:
                    raise PageGone from exc  # zot, when the tag that the page was to follow is deleted
                raise
            yield page
            empty = 0 if len(page) else empty + 1

    def _page(self, request: Request, read: Callable[[Response], P]) -> tuple[P, str | None]:
        def read_both(response: Response) -> tuple[P, str | None]:
            link = next_link(response.headers.getlist("Link"))
            following = join(request.url, link) if link else None
            if following is not None and origin_of(following) != self._origin:
                raise Malformed(f"{request.what}: the next page is said to be elsewhere ({show(following)})")
            return read(response), following

        return self.ask(request, read_both)

    def _call(
        self, request: Request, read: Callable[[Response], T], sent: str | None, only_if: Condition | None
    ) -> T | _Challenged:
        def send() -> T | _Challenged:
            try:
                if only_if is not None:
                    looked = self._exchange(only_if.request, only_if.holds, sent)
                    if looked is not None:
                        return looked
                return self._exchange(request, read, sent)
            except Trouble as exc:
                if exc.verdict.kind is Kind.TRANSIENT:
                    request.lost += 1
                raise

        return self._caller.call(
            send, purpose=request.purpose, turns=request.turns, finishing=request.finishing
        )

    def _exchange(self, request: Request, read: Callable[[Response], T], sent: str | None) -> T | _Challenged:
        headers = dict(request.headers)
        if sent is not None:
            headers["Authorization"] = sent
        response = self._http.request(
            request.method, request.url, headers=headers, body=request.body, limit=request.limit
        )
        if response.status == _UNAUTHORIZED:
            return _Challenged(response)
        if response.status >= _REDIRECTED:
            raise request.failed(response, request.what, self._said(request, response))
        return read(response)  # within the attempt: a cut answer is asked for again

    def _learn(self, answer: _Challenged, scope: Scope, sent: str | None) -> bool:
        if origin_of(answer.response.url) != self._origin:
            return False  # a host that we were redirected to: its wishes are not the registry's
        return self._authorizer.learn(answer.response, scope, sent)

    def _said(self, request: Request, response: Response) -> str:
        return str(first_error(response, self._authorizer.secrets(request.scope)))

    def _denied(self, request: Request, response: Response) -> Denied:
        found = trouble(response, request.what, self._said(request, response))
        return Denied(f"{found}; {self._authorizer.advice(request.scope)}")


class _Challenged(msgspec.Struct, frozen=True):
    response: Response
