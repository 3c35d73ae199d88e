"""The calls of an Azure container registry that give out tokens, and what a token says of itself.

Nothing says how long a token lasts but itself: what it claims is read, and it counts as old five minutes
before its end. It is never believed for more than that; the registry checks it.

The services throttle too: one exchange a run, one token a repository and purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import msgspec

from janitor.errors import Denied
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.http import Http, Response, decode, trouble
from janitor.net.ocierrors import first_error
from janitor.providers.acr.jwt import read_claims

RENEWED_BEFORE_S = 300.0
DEFAULT_LIFE_S = 60.0  # of a token that doesn't say
TOKEN_LIMIT = 1 << 20

_FORM = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
_OK = 200


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may do to one thing."""

    type: str = ""
    name: str = ""
    actions: tuple[str, ...] = ()


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of itself. ``aad_identity`` is there where rights are given by repository."""

    exp: float | None = None
    iat: float | None = None
    access: tuple[Access, ...] = ()
    aad_identity: msgspec.Raw = msgspec.Raw(b"")


def claims_of(token: str) -> Claims:
    """Read what a token claims; nothing where it is none."""
    return read_claims(token, Claims) or Claims()


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, what it claims, and when by our clock it counts as old."""

    value: str
    claims: Claims
    good_until: float

    def __repr__(self) -> str:
        return f"Token(good_until={self.good_until})"


class _Answer(msgspec.Struct, kw_only=True):
    access_token: str | None = None
    refresh_token: str | None = None


class TokenService:
    """The two calls that give out tokens.

    ``service``: the login server's name. ``ahead_s``: by how many seconds our clock was ahead of the
    registry's at the last answer; ``None`` where it didn't say.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        service: str,
        http: Http,
        caller: Caller,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._endpoint = endpoint
        self.service = service
        self._http = http
        self._caller = caller
        self._clock = clock
        self._now = now
        self.ahead_s: float | None = None

    def is_good(self, token: Token) -> bool:
        """Whether a token is far enough from its end."""
        return self._clock() < token.good_until

    def exchange(self, entra_token: str) -> Token:
        """Buy a refresh token; raises Denied where the registry knows no such identity."""
        form = {"grant_type": "access_token", "service": self.service, "access_token": entra_token}
        try:
            answer = self._post("/oauth2/exchange", form, f"a refresh token of {self.service}")
        except Denied as exc:
            message = f"{exc}; the identity has no role on this registry, or is of another tenant"
            raise Denied(message) from exc
        return self._kept(answer.refresh_token, f"a refresh token of {self.service}")

    def buy(self, scope: str, proof: Mapping[str, str]) -> Token:
        """Buy an access token; raises Denied where the proof is none."""
        form = {**proof, "service": self.service, "scope": scope}
        answer = self._post("/oauth2/token", form, f"a token for {scope}")
        return self._kept(answer.access_token, f"a token for {scope}")

    def _kept(self, value: str | None, what: str) -> Token:
        if not value:
            raise Denied(f"{self.service} answered without {what}")
        claims = claims_of(value)
        lasts = DEFAULT_LIFE_S
        if claims.exp is not None:
            whole = claims.exp - (claims.iat or 0.0)
            lasts = claims.exp - self._now().timestamp()
            if not 0 < lasts <= whole:  # our clock is wrong
                lasts = whole if claims.iat else DEFAULT_LIFE_S
        good_for = lasts - min(RENEWED_BEFORE_S, lasts / 2)
        return Token(value=value, claims=claims, good_until=self._clock() + good_for)

    def _ahead(self, response: Response) -> float | None:
        try:
            there = parsedate_to_datetime(response.header("Date") or "")
        except ValueError:
            return None
        if there.tzinfo is None:
            return None
        return (self._now() - there).total_seconds()

    def _post(self, path: str, form: Mapping[str, str], what: str) -> _Answer:
        url = f"{self._endpoint}{path}"
        body = urlencode(form).encode()
        secrets = [form[name] for name in ("access_token", "refresh_token", "password") if name in form]

        def send() -> _Answer:
            response = self._http.request("POST", url, headers=_FORM, body=body, limit=TOKEN_LIMIT)
            self.ahead_s = self._ahead(response)
            if response.status == _OK:
                return decode(response, _Answer)
            found = trouble(response, what, str(first_error(response, secrets)))
            if found.verdict.kind in {Kind.GONE, Kind.FINAL}:
                raise Trouble(Kind.DENIED, Denied(str(found))) from found
            raise found

        return self._caller.call(send, purpose=Purpose.OTHER)
