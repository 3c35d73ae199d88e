"""GitHub's REST API, as a client that believes nothing.

- A list is read until two readings in a row agree, unless it is of one page: its pages are counted off, so
  that a push meanwhile shows an entry twice and a deletion hides one.
- ``X-GitHub-SSO: partial-results`` is an error: the list leaves out what the token isn't authorized for.
- A 403 is a throttle where the quota is spent, where it says how long to wait, or where its message speaks of
  a rate limit; else a right is lacking. Who goes on meanwhile risks to be banned, so a spent quota is waited
  for to its end.
- A 401 is tried once more: new tokens are not known everywhere at once.
- A request that changes something weighs five times one that reads.

Source: GitHub's documentation of the REST API, version 2022-11-28 (rate limits, pagination, authentication).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from janitor.errors import Denied, Malformed, Refused, Unreachable
from janitor.net.asking import Asking, PageGone, Request
from janitor.net.bearer import Scope
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.http import Http, Response, decode, origin_of, retry_after, show, trouble

T = TypeVar("T")

# 900 points a minute are allowed: a GET counts one, what changes something five. A little is left for others.
REQUESTS_PER_SECOND = 14.0
CHANGE_TURNS = 5
PAGE = 100  # entries; GitHub gives no more
READINGS = 5  # of a list that changes
SECONDARY_WAIT_S = 60.0  # what GitHub asks of who is told no time; longer each time
SECONDARY_WAIT_CAP_S = 900.0
PATIENCE_S = 3700.0  # a quota lasts an hour

_SCOPE = Scope("github", "", ())
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
# What GitHub never will delete: a package's last version, and what many have downloaded.
_REFUSALS = ("cannot delete the last", "more than 5000 downloads")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says beside its body.

    ``scopes``: of a classic token; ``None`` of others. ``remaining`` requests of ``limit`` until ``reset``;
    ``None`` where there is no quota. ``date``: the time at GitHub.
    """

    scopes: frozenset[str] | None = None
    remaining: int | None = None
    limit: int | None = None
    reset: datetime | None = None
    date: datetime | None = None


class GitHub:
    """One GitHub by its REST API. Used from many threads; everything raises RegistryError.

    ``endpoint``: the API's root, with its path. ``token``: empty where there is none. ``now``: the time of
    day, where GitHub doesn't say its own. ``standing`` is that of the last answer.
    """

    def __init__(
        self, *, endpoint: str, token: str, http: Http, caller: Caller, now: Callable[[], datetime]
    ) -> None:
        self._root = endpoint.rstrip("/")
        self._origin = origin_of(endpoint)
        self._now = now
        self._asking = Asking(endpoint=endpoint, http=http, caller=caller, authorizer=_Authorizer(token))
        self.standing = Standing()

    def get(self, path: str, kind: type[T], what: str, *, finishing: bool = False) -> T:
        """Read one thing; raises Gone where it isn't there, or may not be seen.

        ``finishing``: it tells what became of a change, and is asked after a stop too.
        """
        request = msgspec.structs.replace(self._request("GET", path, what), finishing=finishing)
        return self._asking.ask(request, lambda answer: self._read(answer, kind))

    def list(self, path: str, entry: type[T], what: str) -> tuple[T, ...]:
        """Read a list whole, in GitHub's order; ``path`` with its query, but for the pages."""
        before: tuple[tuple[T, ...], ...] | None = None
        for _ in range(READINGS):
            try:
                pages = self._pages(path, entry, what)
            except PageGone:
                continue
            if len(pages) == 1 or pages == before:
                return tuple(each for page in pages for each in page)
            before = pages
        raise Malformed(f"{what} changed each of the {READINGS} times that they were listed")

    def changing(self, method: str, path: str, what: str, *, purpose: Purpose) -> Request:
        """Make a request that changes something, to be sent with :meth:`send`."""
        return msgspec.structs.replace(self._request(method, path, what), purpose=purpose, turns=CHANGE_TURNS)

    def send(self, request: Request) -> None:
        """Change something; raises Refused where GitHub never will, Gone where it isn't there.

        ``request.lost`` tells afterwards how many attempts got no answer, and may have done it.
        """
        self._asking.ask(request, self._note)

    def _pages(self, path: str, entry: type[T], what: str) -> tuple[tuple[T, ...], ...]:
        kind: type[tuple[T, ...]] = tuple[entry, ...]  # type: ignore[valid-type]  # made for the decoder
        request = self._request("GET", f"{path}{'&' if '?' in path else '?'}per_page={PAGE}", what)
        return tuple(self._asking.pages(request, lambda answer: self._read(answer, kind)))

    def _request(self, method: str, path: str, what: str) -> Request:
        untold = 0  # throttles that said no time: each is waited for longer than the one before

        def failed(answer: Response, what: str, said: str) -> Trouble:
            nonlocal untold
            self._note(answer)
            if not _is_throttle(answer, said):
                return _trouble(answer, what, said)
            wait = self._asked_to_wait(answer)
            if wait is None:
                wait = min(SECONDARY_WAIT_S * 2**untold, SECONDARY_WAIT_CAP_S)
                untold += 1
            text = f"{what}: GitHub answered {answer.status}, its rate limit is reached: {said}"
            return Trouble(Kind.THROTTLED, Unreachable(text), retry_after=wait, patience=PATIENCE_S)

        return Request(
            method=method,
            url=f"{self._root}{path}",
            scope=_SCOPE,
            what=what,
            headers=_HEADERS,
            failed=failed,
        )

    def _read(self, answer: Response, kind: type[T]) -> T:
        self._note(answer)
        if "partial-results" in (answer.header("X-GitHub-SSO") or ""):
            message = f"{show(answer.url)} leaves out organisations for which the token isn't authorized"
            raise Denied(f"{message}; {_SSO_ADVICE}")
        return decode(answer, kind)

    def _note(self, answer: Response) -> None:
        """Take in what an answer says beside its body; one from elsewhere is no answer."""
        if origin_of(answer.url) != self._origin:
            raise Malformed(f"the API led elsewhere ({show(answer.url)}), which is not followed")
        self.standing = _standing(answer)

    def _asked_to_wait(self, answer: Response) -> float | None:
        """Tell how many seconds a throttle asks to wait; ``None`` where it doesn't say."""
        asked = retry_after(answer)
        standing = _standing(answer)
        if asked is not None or standing.remaining != 0 or standing.reset is None:
            return asked
        left = standing.reset - (standing.date or self._now())
        return max(1.0, left.total_seconds() + 1.0)


class _Authorizer:
    """Gives each request the token; after a 401 once more."""

    def __init__(self, token: str) -> None:
        self._token = token

    def header(self, scope: Scope) -> str:  # noqa: ARG002 - one token for all
        if not self._token:
            raise Denied("there is no token for GitHub: set GITHUB_TOKEN, or the registry's key `token`")
        return f"Bearer {self._token}"

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:  # noqa: ARG002 - as above
        return True

    def accepted(self, sent: str | None) -> None:
        """Nothing to remember."""

    def is_current(self, sent: str) -> bool:  # noqa: ARG002 - a token isn't renewed
        return True

    def secrets(self, scope: Scope) -> tuple[str, ...]:  # noqa: ARG002 - as above
        return (self._token,)

    def advice(self, scope: Scope) -> str:  # noqa: ARG002 - as above
        return "the token is wrong, revoked or has expired"


_SSO_ADVICE = "authorize the token for the organisation's single sign-on, where GitHub lists your tokens"


# The latter is what older enterprise servers say.
_LIMITED = re.compile("rate limit|abuse detection", re.IGNORECASE)


def _is_throttle(answer: Response, said: str) -> bool:
    if answer.status == 429:  # noqa: PLR2004 - too many requests
        return True
    if answer.status != 403:  # noqa: PLR2004 - forbidden, which GitHub says of both
        return False
    spent = _number(answer, "X-RateLimit-Remaining") == 0
    return spent or answer.header("Retry-After") is not None or _LIMITED.search(said) is not None


def _trouble(answer: Response, what: str, said: str) -> Trouble:
    if answer.status in {400, 422} and any(refusal in said for refusal in _REFUSALS):
        return Trouble(Kind.REFUSED, Refused(f"{what}: {said}"))
    found = trouble(answer, what, said)
    if (answer.header("X-GitHub-SSO") or "").startswith("required"):
        return Trouble(Kind.DENIED, Denied(f"{found}; {_SSO_ADVICE}"))
    return found


def _standing(answer: Response) -> Standing:
    scopes = answer.header("X-OAuth-Scopes")
    reset = _number(answer, "X-RateLimit-Reset")
    return Standing(
        scopes=None if scopes is None else frozenset(filter(None, map(str.strip, scopes.split(",")))),
        remaining=_number(answer, "X-RateLimit-Remaining"),
        limit=_number(answer, "X-RateLimit-Limit"),
        reset=None if reset is None else datetime.fromtimestamp(reset, UTC),
        date=_date(answer),
    )


def _number(answer: Response, name: str) -> int | None:
    text = (answer.header(name) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


_DIGITS = 11  # of a number of requests, or of seconds since 1970


def _date(answer: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.header("Date") or "").astimezone(UTC)
    except ValueError:
        return None
