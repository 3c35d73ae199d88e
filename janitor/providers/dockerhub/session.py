"""Who asks the Hub API: a name and a secret, exchanged for a token that lives ten minutes.

- No request goes out without a token: an unknown caller is shown the public repositories, as if there were
  no others.
- A token is renewed when four fifths of its life are over, and once after a 401, by one thread for all.
- How long it lives is the difference of two times of the token itself, so that no clock need agree.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from janitor.decoding import convert
from janitor.errors import Denied, Malformed
from janitor.net.bearer import Scope
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.http import Http, Response, decode
from janitor.net.ocierrors import first_error
from janitor.providers.dockerhub.answers import hub_trouble
from janitor.providers.interface import Context

ACCOUNT = Scope("account", "", ())
LIFE_S = 600.0  # of a token that doesn't say
USED_OF_LIFE = 0.8
# A token that is refused so soon after one that was refused is good, and lacks a right: whoever may not
# delete would else log in for each image.
RENEWED_ONCE_S = 60.0
_ANSWER_LIMIT = 1 << 20
_NOT_THERE = frozenset({404, 405})


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A name and what proves it; ``way`` says where they were found."""

    username: str
    secret: str
    way: str

    def __repr__(self) -> str:
        return f"Account(username={self.username!r}, way={self.way!r})"

    @property
    def kind(self) -> str:
        """What the secret is, by its beginning."""
        if self.secret.startswith("dckr_pat_"):
            return "personal access token"
        return "organization access token" if self.secret.startswith("dckr_oat_") else "password"


class _Answer(msgspec.Struct, kw_only=True):
    access_token: str | None = None
    token: str | None = None


class _Life(msgspec.Struct, kw_only=True):
    exp: float | None = None
    iat: float | None = None


class _Held(msgspec.Struct, frozen=True):
    value: str
    good_until: float

    def __repr__(self) -> str:
        return f"_Held(good_until={self.good_until})"


class Session:
    """Gives requests to the Hub API their token. Used from many threads."""

    def __init__(
        self, *, endpoint: str, http: Http, caller: Caller, find: Callable[[], Account], context: Context
    ) -> None:
        self._endpoint = endpoint
        self._http = http
        self._caller = caller
        self._find = find
        self._context = context
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._refused_at = float("-inf")

    @property
    def account(self) -> Account:
        """Who asks; raises Denied where nobody is configured."""
        return self._find()

    def header(self, scope: Scope) -> str:  # noqa: ARG002 - one token is good for all of the Hub API
        """Return the value of ``Authorization``; may log in, and raises Denied when that is refused."""
        return f"Bearer {self._token()}"

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:  # noqa: ARG002 - as above
        """Forget a token that was not good; one that was renewed for that just now lacks a right."""
        with self._lock:
            held = self._held
            if held is None or sent != f"Bearer {held.value}":
                return True  # another thread renewed it meanwhile
            now = self._context.clock()
            if now - self._refused_at < RENEWED_ONCE_S:
                return False
            self._held = None
            self._refused_at = now
            return True

    def accepted(self, sent: str | None) -> None:
        """Nothing to learn from that."""

    def is_current(self, sent: str) -> bool:
        """Whether no other thread renewed the token meanwhile."""
        held = self._held
        return held is not None and sent == f"Bearer {held.value}"

    def secrets(self, scope: Scope = ACCOUNT) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """Everything that a server could echo and no message may show."""
        held = self._held
        return (self.account.secret, *((held.value,) if held else ()))

    def advice(self, scope: Scope) -> str:  # noqa: ARG002 - as above
        """Say what a token needs."""
        account = self.account
        return (
            f"the {account.kind} of {account.username} lacks the right: deleting needs an access token with"
            " Read, Write, Delete, and admin rights on the repository"
        )

    def _token(self) -> str:
        held = self._held
        if held is not None and self._context.clock() < held.good_until:
            return held.value
        with self._lock:  # one thread logs in, the others wait for it
            held = self._held
            if held is None or self._context.clock() >= held.good_until:
                held = self._held = self._log_in()
        return held.value

    def _log_in(self) -> _Held:
        account = self.account
        asked = self._context.clock()
        body = {"identifier": account.username, "secret": account.secret}
        answer = self._post("/v2/auth/token", body, account)
        if answer is None:  # an older address, which proxies and older servers know
            body = {"username": account.username, "password": account.secret}
            answer = self._post("/v2/users/login", body, account)
        token = None if answer is None else answer.access_token or answer.token
        if not token:
            raise Denied(f"{self._endpoint} logs nobody in: it answered without a token")
        return _Held(token, asked + USED_OF_LIFE * _life(token))

    def _post(self, path: str, body: Mapping[str, str], account: Account) -> _Answer | None:
        """Ask for a token; ``None`` where the server has no such address."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        url = self._endpoint + path

        def send() -> _Answer | None:
            response = self._http.request(
                "POST", url, headers=headers, body=msgspec.json.encode(body), limit=_ANSWER_LIMIT
            )
            if response.status in _NOT_THERE:
                return None
            if response.status >= 300:  # noqa: PLR2004 - whatever isn't good
                raise self._refusal(response, account)
            return decode(response, _Answer)

        return self._caller.call(send, purpose=Purpose.OTHER)

    def _refusal(self, response: Response, account: Account) -> Trouble:
        said = str(first_error(response, (account.secret,)))
        found = hub_trouble(response, f"logging in as {account.username}", said, self._context.now)
        if found.verdict.kind not in {Kind.DENIED, Kind.FINAL}:
            return found
        hint = f"Docker Hub takes neither the name nor the {account.kind} from {account.way}"
        if account.kind == "organization access token":
            hint += "; with such a token the user is the organization's name"
        elif account.kind == "password":
            hint += "; with two-factor authentication or single sign-on it takes access tokens alone"
        return Trouble(Kind.DENIED, Denied(f"{found}: {hint}"))


def claims(token: str) -> Any:
    """Read what a JSON web token says of itself, unchecked; raises Malformed of anything else."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims and signature
        raise Malformed("this is no JSON web token")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("this is no JSON web token") from None


def _life(token: str) -> float:
    try:
        life = convert(claims(token), _Life)
    except (Malformed, msgspec.ValidationError):
        return LIFE_S
    if life.exp is None or life.iat is None or life.exp <= life.iat:
        return LIFE_S
    return min(life.exp - life.iat, LIFE_S)
