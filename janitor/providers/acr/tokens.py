"""How requests to an Azure container registry are authorized.

- Who asks proves it once: with a token of Entra, which the registry exchanges for a refresh token of its own;
  with such a refresh token (the user name of zeros); or with user name and password.
- With that, an access token is bought for each repository and what is to be done there. A wildcard is not
  asked for: registries that judge by repository pass over it without a word.
- Nothing says how long a token lasts but itself: what it claims is read, and it is renewed five minutes
  before. It is never believed for more than that; the registry checks it.
- A token has the rights that are both asked for and given: too few are no error before they are used. After
  a 401 a new one is bought once; where that is refused as well, the right is lacking.

The services that give out tokens throttle too: one exchange a run, one token a repository and purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from janitor.errors import Denied
from janitor.net.bearer import Scope, parse_challenges, pull
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.http import Http, Response, decode, trouble
from janitor.net.ocierrors import first_error
from janitor.providers.acr.entra import Entra
from janitor.providers.acr.jwt import read_claims

# The user name whose password is a refresh token, as `az acr login` writes it down.
NOBODY = "00000000-0000-0000-0000-000000000000"

RENEWED_BEFORE_S = 300.0
DEFAULT_LIFE_S = 60.0  # of a token that doesn't say
TOKEN_LIMIT = 1 << 20
TOKENS_KEPT = 512  # of some 2 KiB; past this the expired ones are dropped

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


class Proof(Protocol):
    """What proves who asks, as the token service wants it."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that no message may show."""

    def form(self, service: TokenService) -> Mapping[str, str]:
        """Return what is sent with the wish for an access token."""

    def renew(self) -> bool:
        """Forget what was refused; false where asking again would send the same."""

    @property
    def by_repository(self) -> bool | None:
        """Whether rights are given by repository; ``None`` where that can't be told."""

    @property
    def told(self) -> str:
        """Say which way this is, for people."""


class Password:
    """The admin user, a service principal, or a token that was made for a few repositories."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self.secrets: tuple[str, ...] = (password,)
        self.by_repository: bool | None = None
        self.told = f"the user name {username} and its password"

    def form(self, service: TokenService) -> Mapping[str, str]:
        """Return user name and password."""
        del service
        return {"grant_type": "password", "username": self._username, "password": self.secrets[0]}

    def renew(self) -> bool:
        """Never: a wrong password is not tried twice."""
        return False


class RefreshToken:
    """A refresh token of the registry that somebody bought before."""

    def __init__(self, value: str) -> None:
        self.secrets: tuple[str, ...] = (value,)
        self.by_repository: bool | None = bool(_claims(value).aad_identity)
        self.told = "a refresh token of the registry (the user name of zeros)"

    def form(self, service: TokenService) -> Mapping[str, str]:
        """Return the token."""
        del service
        return {"grant_type": "refresh_token", "refresh_token": self.secrets[0]}

    def renew(self) -> bool:
        """Never: there is no other."""
        return False


class Exchanged:
    """A refresh token of the registry, bought with a token of Entra."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._token: _Token | None = None
        self._lock = threading.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The refresh token, where there is one."""
        token = self._token
        return (token.value,) if token else ()

    @property
    def by_repository(self) -> bool | None:
        """What the refresh token tells, once there is one."""
        token = self._token
        return bool(token.claims.aad_identity) if token else None

    @property
    def told(self) -> str:
        """Which identity azure-identity found."""
        return f"azure-identity ({self._entra.identity})"

    def form(self, service: TokenService) -> Mapping[str, str]:
        """Return the token; the first one, and each that takes the place of an old one, is bought here."""
        with self._lock:
            token = self._token
            if token is None or not service.is_good(token):
                token = self._token = service.exchange(self._entra.token())
        return {"grant_type": "refresh_token", "refresh_token": token.value}

    def renew(self) -> bool:
        """Buy another the next time."""
        with self._lock:
            self._token = None
        return True


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    value: str
    claims: Claims
    good_until: float

    def __repr__(self) -> str:
        return f"_Token(good_until={self.good_until})"


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

    def is_good(self, token: _Token) -> bool:
        """Whether a token is far enough from its end."""
        return self._clock() < token.good_until

    def exchange(self, entra_token: str) -> _Token:
        """Buy a refresh token; raises Denied where the registry knows no such identity."""
        form = {"grant_type": "access_token", "service": self.service, "access_token": entra_token}
        try:
            answer = self._post("/oauth2/exchange", form, f"a refresh token of {self.service}")
        except Denied as exc:
            message = f"{exc}; the identity has no role on this registry, or is of another tenant"
            raise Denied(message) from exc
        return self._kept(answer.refresh_token, f"a refresh token of {self.service}")

    def buy(self, scope: str, proof: Mapping[str, str]) -> _Token:
        """Buy an access token; raises Denied where the proof is none."""
        form = {**proof, "service": self.service, "scope": scope}
        answer = self._post("/oauth2/token", form, f"a token for {scope}")
        return self._kept(answer.access_token, f"a token for {scope}")

    def _kept(self, value: str | None, what: str) -> _Token:
        if not value:
            raise Denied(f"{self.service} answered without {what}")
        claims = _claims(value)
        lasts = DEFAULT_LIFE_S
        if claims.exp is not None:
            whole = claims.exp - (claims.iat or 0.0)
            lasts = claims.exp - self._now().timestamp()
            if not 0 < lasts <= whole:  # our clock is wrong
                lasts = whole if claims.iat else DEFAULT_LIFE_S
        good_for = lasts - min(RENEWED_BEFORE_S, lasts / 2)
        return _Token(value=value, claims=claims, good_until=self._clock() + good_for)

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


class Tokens:
    """Gives the requests to one registry their ``Authorization``. Used from many threads."""

    def __init__(self, service: TokenService, proof: Proof) -> None:
        self._service = service
        self._proof = proof
        self._lock = threading.Lock()
        # By what they are good for; see _one_token.
        self._tokens: dict[Scope, _Token] = {}
        self._buying: dict[Scope, threading.Lock] = {}
        self._widened: dict[Scope, Scope] = {}
        self._refused: set[Scope] = set()  # a 401 was the answer to the last token, the next one is a trial
        self._on_trial: set[str] = set()

    def header(self, scope: Scope) -> str:
        """Return the value of ``Authorization``; may ask the token services. Raises Denied."""
        return f"Bearer {self._token(_one_token(scope)).value}"

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:
        """Take in a 401; tell whether another token may help."""
        scope = _one_token(scope)
        value = (sent or "").partition(" ")[2]
        with self._lock:
            current = self._tokens.get(scope)
            if value in self._on_trial:
                return False
            if current is not None and current.value == value:
                del self._tokens[scope]
                self._refused.add(scope)
        self._widen(response, scope)
        return True

    def accepted(self, sent: str | None) -> None:
        """Take in that a token was let in."""
        if self._on_trial and sent is not None:
            self._on_trial.discard(sent.partition(" ")[2])

    def is_current(self, sent: str) -> bool:
        """Whether no other thread renewed the token meanwhile."""
        value = sent.partition(" ")[2]
        return any(token.value == value for token in list(self._tokens.values()))

    def secrets(self, scope: Scope) -> tuple[str, ...]:
        """Everything that a server could echo and no message may show."""
        token = self._tokens.get(_one_token(scope))
        return (*self._proof.secrets, *((token.value,) if token else ()))

    def advice(self, scope: Scope) -> str:
        """Say which rights are lacking, as far as the token itself tells."""
        token = self._tokens.get(_one_token(scope))
        lacking = set(scope.actions) - _granted(token.claims, scope) if token else set[str]()
        if not lacking:
            return "the credentials are wrong, expired, or lack the right"
        return f"the right to {', '.join(sorted(lacking))} is lacking on {scope.name}"

    def granted(self, scope: Scope) -> frozenset[str]:
        """Ask for a token and tell which of its rights are really given. Raises Denied."""
        return _granted(self._token(_one_token(scope)).claims, scope)

    @property
    def by_repository(self) -> bool | None:
        """Whether rights are given by repository; ``None`` where that can't be told."""
        return self._proof.by_repository

    @property
    def ahead_s(self) -> float | None:
        """By how many seconds our clock is ahead of the registry's; ``None`` where that isn't known."""
        return self._service.ahead_s

    @property
    def proof(self) -> str:
        """Which way it was proven who asks, for people."""
        return self._proof.told

    def _token(self, scope: Scope) -> _Token:
        token = self._tokens.get(scope)
        if token is not None and self._service.is_good(token):
            return token
        with self._lock:
            buying = self._buying.setdefault(scope, threading.Lock())
        with buying:  # one thread buys, the others wait for it
            token = self._tokens.get(scope)
            if token is None or not self._service.is_good(token):
                token = self._bought(scope)
                self._remember(scope, token)
        return token

    def _bought(self, scope: Scope) -> _Token:
        text = str(self._widened.get(scope, scope))
        try:
            return self._service.buy(text, self._proof.form(self._service))
        except Denied:
            if not self._proof.renew():
                raise
        return self._service.buy(text, self._proof.form(self._service))

    def _remember(self, scope: Scope, token: _Token) -> None:
        with self._lock:
            if len(self._tokens) >= TOKENS_KEPT:
                self._tokens = {
                    each: held for each, held in self._tokens.items() if self._service.is_good(held)
                }
                self._buying = {each: lock for each, lock in self._buying.items() if lock.locked()}
            self._tokens[scope] = token
            if scope in self._refused:
                self._refused.discard(scope)
                self._on_trial.add(token.value)

    def _widen(self, response: Response, scope: Scope) -> None:
        """Ask also for what the registry says it wants of the same thing."""
        for challenge in parse_challenges(response.headers.getlist("WWW-Authenticate")):
            resource, _, actions = challenge.parameters.get("scope", "").rpartition(":")
            if resource == f"{scope.type}:{scope.name}":
                wider = tuple(dict.fromkeys((*scope.actions, *actions.split(","))))
                if wider != scope.actions:
                    self._widened[scope] = Scope(scope.type, scope.name, wider)


def reading(repository: str) -> Scope:
    """What listing a repository and reading its manifests takes."""
    return Scope("repository", repository, ("metadata_read", "pull"))


def _one_token(scope: Scope) -> Scope:
    """Read manifests with the token that lists them: a repository has one for all of its reading."""
    return reading(scope.name) if scope == pull(scope.name) else scope


def _granted(claims: Claims, scope: Scope) -> frozenset[str]:
    return frozenset(
        action
        for access in claims.access
        if (access.type, access.name) == (scope.type, scope.name)
        for action in access.actions
    )


def _claims(token: str) -> Claims:
    return read_claims(token, Claims) or Claims()
