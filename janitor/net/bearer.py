"""How requests to a registry are authorized: Basic, or tokens that its token service gives out.

- A registry says with a 401 what it wants. After that, requests of the same kind carry it from the start.
- After a 401 a request is authorized afresh once, then it is denied: nothing here can loop, not even where
  a server's wish turns from Bearer to Basic.
- A password goes to the registry itself, and to a token service over https; over plain http only where the
  registry is spoken to over plain http and the service is on its host. An https registry that names an
  http service gets nothing.
- Tokens are kept by service and scope until shortly before they expire.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlencode, urlsplit

import msgspec

from janitor.errors import Denied
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.dockerconfig import Credentials
from janitor.net.http import Http, Response, decode, origin_of, show, trouble
from janitor.net.ocierrors import first_error
from janitor.net.proxies import is_loopback

DEFAULT_EXPIRY_S = 60.0  # of a token whose service doesn't say: the token specification's default
EXPIRY_MARGIN_S = 10.0  # a token that has less left may be stale when its request arrives
TOKEN_LIMIT = 1 << 20
TOKENS_KEPT = 512  # a repository has one of some 2 KiB; past this the expired ones are dropped
CLIENT_ID = "registry-janitor"


class Scope(msgspec.Struct, frozen=True):
    """What a request needs the right for, as the token specification writes it."""

    type: str
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


CATALOGUE = Scope("registry", "catalog", ("*",))


def pull(repository: str) -> Scope:
    """Ask for the right to read a repository."""
    return Scope("repository", repository, ("pull",))


def delete(repository: str) -> Scope:
    """Ask for the right to delete in a repository."""
    return Scope("repository", repository, ("pull", "delete"))


def push(repository: str) -> Scope:
    """Ask for the right to write to a repository."""
    return Scope("repository", repository, ("pull", "push"))


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge of a ``WWW-Authenticate`` header; scheme and parameters' names in small letters."""

    scheme: str
    parameters: Mapping[str, str]


_PARAMETER = re.compile(r'([\w!#$%&\'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(r"[\w!#$%&'*+.^`|~-]+")
_FILLER = re.compile(r"[\s,]*")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read ``WWW-Authenticate`` headers, each of one or several challenges; what is none is passed over."""
    found: list[Challenge] = []
    for header in headers:
        parameters: dict[str, str] | None = None
        place = 0
        while (place := _end(_FILLER.match(header, place), place)) < len(header):
            match = _PARAMETER.match(header, place)
            if match and parameters is not None:
                quoted, bare = match[2], match[3]
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
                parameters[match[1].lower()] = value
            elif match := _SCHEME.match(header, place):
                parameters = {}
                found.append(Challenge(scheme=match[0].lower(), parameters=parameters))
            place = _end(match, place + 1)
    return tuple(found)


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


class _Answer(msgspec.Struct, kw_only=True):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


class _Token(msgspec.Struct, frozen=True):
    value: str
    good_until: float

    def __repr__(self) -> str:
        return f"_Token(good_until={self.good_until})"


_TokenKey = tuple[str, str, str]


class Authenticator:
    """Gives the requests to one registry their ``Authorization``. Used from many threads.

    ``find`` looks up the credentials of a repository, or with an empty name the registry's.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        http: Http,
        caller: Caller,
        find: Callable[[str], Credentials | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin_of(endpoint)
        self._host = urlsplit(endpoint).netloc
        self._http = http
        self._caller = caller
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: dict[str, Challenge] = {}  # by a scope's type
        self._wanted_exactly: dict[Scope, Challenge] = {}
        self._widened: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._basic_worked = False
        self._tokens: dict[_TokenKey, _Token] = {}
        self._fetching: dict[_TokenKey, threading.Lock] = {}

    def header(self, scope: Scope) -> str | None:
        """Return the value of ``Authorization``; ``None`` before the registry said that it wants one.

        May ask the token service; raises Denied when that refuses.
        """
        credentials = self._credentials(scope)
        if credentials and credentials.registry_token:
            return f"Bearer {credentials.registry_token}"
        challenge = self._wanted_exactly.get(scope) or self._wanted.get(scope.type)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return credentials.basic if credentials else None
        return f"Bearer {self._token(challenge, scope, credentials)}"

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:
        """Take in a 401 to a request that carried ``sent``; tell whether it is worth sending it again."""
        challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
        by_scheme = {challenge.scheme: challenge for challenge in reversed(challenges)}
        challenge = by_scheme.get("bearer") or by_scheme.get("basic")
        if challenge is None:
            return False
        credentials = self._credentials(scope)
        if credentials and credentials.registry_token:
            return False
        scheme = (sent or "").partition(" ")[0].lower()
        if challenge.scheme == "basic" and not (credentials and credentials.basic):
            return False
        if challenge.scheme == "basic" and scheme == "basic":
            return self._basic_worked  # a password that never did is not tried twice: accounts get locked
        with self._lock:
            if scheme == "":
                self._wanted[scope.type] = challenge
            elif scheme == "bearer" and challenge.scheme == "basic":
                # the wish turned: true of this request, not of all that went well with a token
                self._wanted_exactly[scope] = challenge
            else:
                self._wanted[scope.type] = challenge
                self._forget(sent or "")
                self._widen(scope, challenge)
        return True

    def accepted(self, sent: str | None) -> None:
        """Take in that a request with this ``Authorization`` was let in."""
        if not self._basic_worked and sent is not None and sent.startswith("Basic "):
            self._basic_worked = True

    def is_current(self, sent: str) -> bool:
        """Whether an ``Authorization`` is what would be sent again: no other thread renewed it meanwhile."""
        scheme, _, value = sent.partition(" ")
        return scheme != "Bearer" or any(token.value == value for token in list(self._tokens.values()))

    def advice(self, scope: Scope) -> str:
        """Say what to look at when a request was denied."""
        if self._credentials(scope) is not None:
            return "the credentials are wrong or lack the right"
        return "no credentials are configured for it, and docker's config.json has none"

    def secrets(self, scope: Scope) -> tuple[str, ...]:
        """Everything that a server could echo and no message may show."""
        credentials = self._credentials(scope)
        with self._lock:
            tokens = tuple(token.value for token in self._tokens.values())
        return (*(credentials.secrets if credentials else ()), *tokens)

    def _credentials(self, scope: Scope) -> Credentials | None:
        return self._find(scope.name if scope.type == "repository" else "")

    def _forget(self, sent: str) -> None:
        value = sent.partition(" ")[2]
        self._tokens = {key: token for key, token in self._tokens.items() if token.value != value}

    def _widen(self, scope: Scope, challenge: Challenge) -> None:
        """Ask for more from now on: for what the challenge names, and where one deletes also for push.

        A token service gives the intersection of what is asked and what is allowed, with 200: that it was
        not enough shows only now. Some servers want push for a delete.
        """
        if challenge.parameters.get("error") == "invalid_token":
            return
        asked = self._widened.get(scope.actions, scope.actions)
        named: list[str] = []
        for text in challenge.parameters.get("scope", "").split():
            resource, _, actions = text.rpartition(":")
            if resource == f"{scope.type}:{scope.name}":
                named.extend(actions.split(","))
        extra = ["push"] if "delete" in asked else []
        wider = tuple(dict.fromkeys((*asked, *named, *extra)))
        if wider != asked:
            self._widened[scope.actions] = wider

    def _token(self, challenge: Challenge, scope: Scope, credentials: Credentials | None) -> str:
        realm = challenge.parameters.get("realm", "")
        self._check_realm(realm)
        service = challenge.parameters.get("service", "")
        actions = self._widened.get(scope.actions, scope.actions)
        text = str(Scope(scope.type, scope.name, actions))
        key = (realm, service, text)
        if (token := self._tokens.get(key)) and self._clock() < token.good_until:
            return token.value
        with self._lock:
            fetching = self._fetching.setdefault(key, threading.Lock())
        with fetching:  # one thread asks, the others wait for its answer
            if (token := self._tokens.get(key)) and self._clock() < token.good_until:
                return token.value
            try:
                token = self._fetch(realm, service, text, credentials)
            except Denied:
                with self._lock:
                    self._widened.pop(scope.actions, None)
                raise
            self._remember(key, token)
        return token.value

    def _remember(self, key: _TokenKey, token: _Token) -> None:
        with self._lock:
            if len(self._tokens) >= TOKENS_KEPT:
                now = self._clock()
                self._tokens = {key: token for key, token in self._tokens.items() if now < token.good_until}
                self._fetching = {key: lock for key, lock in self._fetching.items() if lock.locked()}
            self._tokens[key] = token

    def _check_realm(self, realm: str) -> None:
        host = self._host
        if not realm.startswith(("https://", "http://")):
            raise Denied(f"{host} asks for a token, but names no http address to get it from")
        if "@" in urlsplit(realm).netloc:
            raise Denied(f"{host} names a token service with a user in its address, which is not asked")
        if realm.startswith("https://"):
            return
        there = urlsplit(realm).hostname or ""
        if self._origin.scheme == "https":
            raise Denied(f"{host} is https, but names a token service without TLS ({show(realm)})")
        here = self._origin.host
        if there.lower() != here and not (is_loopback(there) and is_loopback(here)):
            message = f"{host} names a token service on another host without TLS ({show(realm)})"
            raise Denied(f"{message}; credentials are not sent there")

    def _fetch(self, realm: str, service: str, scope: str, credentials: Credentials | None) -> _Token:
        asked = self._clock()
        answer = None
        if credentials and credentials.identity_token:
            answer = self._post(realm, service, scope, credentials)
        if answer is None:
            answer = self._get(realm, service, scope, credentials)
        value = answer.token or answer.access_token
        if not value:
            raise Denied(f"the token service {show(realm)} answered without a token for {scope}")
        lasts = DEFAULT_EXPIRY_S if answer.expires_in is None else max(0.0, answer.expires_in)
        return _Token(value, asked + lasts - min(EXPIRY_MARGIN_S, lasts / 5))

    def _get(self, realm: str, service: str, scope: str, credentials: Credentials | None) -> _Answer:
        query = [("service", service)] if service else []
        query.append(("scope", scope))
        headers = {"Accept": "application/json"}
        basic = _basic_for_token(credentials)
        if credentials and basic:
            headers["Authorization"] = basic
            query.append(("account", credentials.username))
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"

        def send() -> _Answer:
            response = self._http.request("GET", url, headers=headers, limit=TOKEN_LIMIT)
            return _read(response, scope, credentials)

        return self._caller.call(send, purpose=Purpose.OTHER)

    def _post(self, realm: str, service: str, scope: str, credentials: Credentials) -> _Answer | None:
        """Buy a token with an identity token; ``None`` where the service knows no such trade."""
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "scope": scope,
            "client_id": CLIENT_ID,
            "refresh_token": credentials.identity_token,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()

        def send() -> _Answer | None:
            response = self._http.request("POST", realm, headers=headers, body=body, limit=TOKEN_LIMIT)
            if response.status in {404, 405}:
                return None
            return _read(response, scope, credentials)

        return self._caller.call(send, purpose=Purpose.OTHER)


def _basic_for_token(credentials: Credentials | None) -> str | None:
    if credentials is None:
        return None
    if credentials.basic is None and credentials.identity_token:
        return Credentials(username=credentials.username, password=credentials.identity_token).basic
    return credentials.basic


def _read(response: Response, scope: str, credentials: Credentials | None) -> _Answer:
    if response.status == 200:  # noqa: PLR2004 - the only good answer that the token specification has
        return decode(response, _Answer)
    said = first_error(response, credentials.secrets if credentials else ())
    found = trouble(response, f"a token for {scope}", str(said))
    if found.verdict.kind in {Kind.GONE, Kind.FINAL}:
        raise Trouble(Kind.DENIED, Denied(str(found))) from found
    raise found
