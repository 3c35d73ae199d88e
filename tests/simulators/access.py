"""Who may do what: none asked, Basic, or Bearer with a token server, as registries demand it.

The token server grants the intersection of what is asked and what the user may, with 200: too few rights show
only later, as ``insufficient_scope``. A token's life is counted in requests, not in seconds, so that tests
need no clock.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import parse_qs

import msgspec

from tests.simulators.content import encode
from tests.simulators.server import Answer, Request


class Scheme(StrEnum):
    """What a registry asks for."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one registry.

    ``rights``: what the user may do. ``public``: anybody may pull. ``identity``: a refresh token that is
    taken by POST. ``posts``: the token server knows the OAuth2 form. ``uses``: requests until a token has
    expired. ``realm``: the token server's address where it isn't the registry's own. ``names``: under
    which key the token is given. ``anybody``: every name and password are those of the user.
    """

    scheme: Scheme = Scheme.NONE
    user: str = "janitor"
    password: str = "pass:word"
    rights: frozenset[str] = frozenset({"pull", "push", "delete", "*"})
    public: bool = False
    identity: str | None = None
    posts: bool = True
    uses: int | None = None
    realm: str | None = None
    names: tuple[str, ...] = ("token",)
    anybody: bool = False


class _Token:
    def __init__(self, scopes: Mapping[str, frozenset[str]], uses: int | None) -> None:
        self.scopes = scopes
        self.uses = uses

    def spend(self) -> bool:
        """Whether the token is good for this request."""
        if self.uses is None:
            return True
        self.uses -= 1
        return self.uses >= 0


class Guard:
    """Checks requests by :class:`Access`, gives out tokens, and can forget them all."""

    service = "simulated, registry"

    def __init__(self, access: Access) -> None:
        self.access = access
        self._tokens: dict[str, _Token] = {}
        self._given = 0

    def revoke(self) -> None:
        """No token that was given out is good any more."""
        self._tokens.clear()

    def refuse(self, request: Request, scope: str, realm: str) -> Answer | None:
        """The 401 that this request gets, or None when it may pass. ``scope``: ``type:name:actions``."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        match self.access.scheme:
            case Scheme.NONE:
                return None
            case Scheme.BASIC:
                good = kind.lower() == "basic" and self._is_user(value)
                return None if good else self.challenge(scope, realm)
        token = self._tokens.get(value) if kind.lower() == "bearer" else None
        if token is None or not token.spend():
            return self.challenge(scope, realm)
        subject, wanted = _split(scope)
        if wanted <= token.scopes.get(subject, frozenset()):
            return None
        return self.challenge(scope, realm, error="insufficient_scope")

    def challenge(self, scope: str, realm: str, *, error: str = "") -> Answer:
        body = encode({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})
        if self.access.scheme is Scheme.BASIC:
            challenge = 'Basic realm="a registry, simulated"'
        else:
            parts = [f'service="{self.service}"', f'realm="{self.access.realm or realm}"']
            parts += [f'scope="{scope}"'] if scope else []
            parts += [f'error="{error}"'] if error else []
            challenge = "Bearer " + ",".join(parts)
        return Answer(status=401, headers={"WWW-Authenticate": challenge}, body=body)

    def token(self, request: Request) -> Answer:
        """The token server: GET with Basic or nothing, POST with the OAuth2 form."""
        if request.method == "POST":
            return self._posted(parse_qs(request.body.decode()))
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind and not (kind.lower() == "basic" and self._is_user(value)):
            return Answer(status=401, body=b'{"details":"incorrect username or password"}')
        if request.asked("service") != self.service:
            return Answer(status=400, body=b'{"details":"unknown service"}')
        return self._grant(request.query.get("scope", []), known=bool(kind), names=self.access.names)

    def _posted(self, form: Mapping[str, list[str]]) -> Answer:
        if not self.access.posts:
            return Answer(status=404, body=b"404 page not found")
        said = {key: values[0] for key, values in form.items()}
        if said.get("grant_type") == "refresh_token":
            given = said.get("refresh_token", "")
            good = given == self.access.identity or (self.access.anybody and given != "")
        else:
            good = self.is_known(said.get("username", ""), said.get("password", ""))
        if not good or said.get("service") != self.service:
            return Answer(status=401, body=b'{"error":"invalid_grant"}')
        return self._grant(said.get("scope", "").split(" "), known=True, names=("access_token",))

    def _grant(self, scopes: list[str], *, known: bool, names: tuple[str, ...]) -> Answer:
        rights = self.access.rights if known else frozenset({"pull"} if self.access.public else ())
        granted = {
            subject: rights if "*" in wanted else wanted & rights  # a star is whatever one may do
            for subject, wanted in map(_split, filter(None, scopes))
        }
        self._given += 1
        token = f"token-{self._given}"
        self._tokens[token] = _Token(granted, self.access.uses)
        return Answer(
            headers={"Content-Type": "application/json"},
            body=encode(dict.fromkeys(names, token) | {"expires_in": 300}),
        )

    def is_known(self, name: str, password: str) -> bool:
        """Whether this is the user."""
        if self.access.anybody:
            return bool(name and password)
        return (name, password) == (self.access.user, self.access.password)

    def _is_user(self, basic: str) -> bool:
        return self.is_known(*credentials_of(basic))


def credentials_of(basic: str) -> tuple[str, str]:
    """Name and password of Basic authorization; of what is none, nothing."""
    try:
        name, _, password = base64.b64decode(basic, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def _split(scope: str) -> tuple[str, frozenset[str]]:
    """``repository:a/b:pull,push`` -> what it is of, and the actions."""
    found = re.fullmatch(r"(.*):([^:]*)", scope)
    if found is None:
        return scope, frozenset()
    return found[1], frozenset(found[2].split(","))
