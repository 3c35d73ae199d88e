"""Who may do what at a simulated Azure container registry, and the three steps to a token.

The tokens are JSON web tokens as the service's: what they claim can be read, and only that tells how long
they last and what they are good for.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tests.simulators.access import credentials_of
from tests.simulators.server import Answer, Request

AUDIENCE = "https://containerregistry.azure.net"
NOBODY = "00000000-0000-0000-0000-000000000000"
ALL_ACTIONS = frozenset({"pull", "push", "delete", "metadata_read", "metadata_write"})
SOFT_ACTIONS = frozenset({"deleted_read", "deleted_restore"})
REFRESH_LIFE_S = 3 * 3600
ACCESS_LIFE_S = 75 * 60


class AcrAccess(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one registry.

    ``actions``: what may be done in repositories; ``only``: in these alone. ``catalogues``: what may be
    listed of the registry itself. ``abac``: rights are given by repository. ``identity``: whether the one who
    comes with a token of Entra has any role here. ``uses``: requests until an access token has expired.
    ``anybody``: every name and password, and every token that looks like one, are of somebody known.
    """

    actions: frozenset[str] = ALL_ACTIONS | SOFT_ACTIONS
    only: frozenset[str] | None = None
    catalogues: frozenset[str] = frozenset({"catalog", "deleted_catalog"})
    abac: bool = False
    identity: bool = True
    user: str = "janitor"
    password: str = "pass:word"
    header: str = "the header's secret"
    client_id: str = "11111111-2222-3333-4444-555555555555"
    uses: int | None = None
    anybody: bool = False


class _Token:
    def __init__(self, claims: Mapping[str, Any], uses: int | None = None) -> None:
        self.claims = claims
        self.uses = uses

    def allows(self, scope: str) -> bool:
        kind, name, action = _parts(scope)
        return any(
            (granted["type"], action in granted["actions"]) == (kind, True)
            # Without rights by repository, one wildcard serves for all.
            and granted["name"] in {name, "*"}
            for granted in self.claims["access"]
        )


class AcrGuard:
    """Gives out tokens, checks them, and remembers what was asked for and used."""

    def __init__(self, access: AcrAccess, service: str) -> None:
        self.access = access
        self.service = service
        self.used: set[str] = set()
        self.granted: list[str] = []
        self.exchanges = 0
        self.identities: list[str | None] = []
        self._refresh: dict[str, float] = {}
        self._tokens: dict[str, _Token] = {}
        self._entra: set[str] = set()
        self._serial = itertools.count()

    def revoke(self) -> None:
        """No token that was given out is good any more."""
        self._tokens.clear()
        self._refresh.clear()

    def refuse(self, request: Request, scope: str, realm: str, now: datetime) -> Answer | None:
        """The 401 that this request gets, or None when it may pass. ``scope``: ``type:name:action``."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            good = self._is_user(*credentials_of(value), now=now)
            if good and scope:
                self.used.add(_parts(scope)[2] if scope.startswith("repository:") else _parts(scope)[1])
            return None if good else self.challenge(scope, realm)
        token = self._tokens.get(value)
        if token is None or token.claims["exp"] <= now.timestamp():
            return self.challenge(scope, realm)
        if token.uses is not None:
            token.uses -= 1
            if token.uses < 0:
                return self.challenge(scope, realm)
        if scope and not token.allows(scope):
            # A good token of another scope gets the same answer as none, but for the error.
            return self.challenge(scope, realm, error="invalid_token")
        if scope:
            self.used.add(_parts(scope)[2] if scope.startswith("repository:") else _parts(scope)[1])
        return None

    def challenge(self, scope: str, realm: str, *, error: str = "") -> Answer:
        parts = [f'realm="{realm}"', f'service="{self.service}"']
        detail = []
        if scope:
            kind, name, action = _parts(scope)
            parts.append(f'scope="{scope}"')
            detail = [{"Type": kind, "Name": name, "Action": action}]
        parts += [f'error="{error}"'] if error else []
        message = "authentication required, visit https://aka.ms/acr/authorization for more information."
        body = {"errors": [{"code": "UNAUTHORIZED", "message": message, "detail": detail}]}
        return _json(body, 401, {"Www-Authenticate": f"Bearer {','.join(parts)}"})

    def managed_identity(self, request: Request) -> Answer:
        """App Service's endpoint for managed identities: azure-identity finds it in its environment."""
        header = request.headers.get("x-identity-header")
        if header != self.access.header and not (self.access.anybody and header):
            return _json({"statusCode": 401, "message": "no such header"}, 401)
        client_id = request.asked("client_id")
        self.identities.append(client_id)
        if request.asked("resource") != AUDIENCE:
            return _json({"statusCode": 500, "message": "no such resource"}, 500)
        claims = {"aud": AUDIENCE, "appid": client_id or self.access.client_id, "tid": "tenant"}
        token = self._jwt(claims)
        self._entra.add(token)
        # msal compares with the machine's own clock.
        expires = str(int(time.time()) + 86_400)
        return _json(
            {"access_token": token, "expires_on": expires, "resource": AUDIENCE, "token_type": "Bearer"}
        )

    def exchange(self, request: Request, now: datetime) -> Answer:
        """A token of Entra for a refresh token."""
        said = _form(request)
        self.exchanges += 1
        grants = {"access_token", "access_token_refresh_token"}
        good = said.get("grant_type") in grants and self._is_service(said)
        given = said.get("access_token", "")
        known = given in self._entra or (self.access.anybody and _JWT.fullmatch(given))
        if not good or not known or not self.access.identity:
            return self._unauthorized()
        return _json({"refresh_token": self.refresh_token(now)}, headers=_LIMITS)

    def refresh_token(self, now: datetime) -> str:
        """A refresh token, as `az acr login` would write it down too."""
        claims: dict[str, Any] = _life(now, REFRESH_LIFE_S) | {"grant_type": "refresh_token"}
        if self.access.abac:
            claims["aad_identity"] = {"oid": "an object"}
        token = self._jwt(claims)
        self._refresh[token] = claims["exp"]
        return token

    def token(self, request: Request, now: datetime) -> Answer:
        """An access token for a scope: by refresh token, by password, or as docker asks."""
        if request.method == "GET":
            kind, _, value = request.headers.get("authorization", "").partition(" ")
            if kind.lower() != "basic" or not self._is_user(*credentials_of(value), now=now):
                return self._unauthorized()
            return self._grant(request.query.get("scope", []), now)
        said = _form(request)
        match said.get("grant_type"):
            case "refresh_token":
                good = self._is_user(NOBODY, said.get("refresh_token", ""), now=now)
            case "password":
                good = self._is_user(said.get("username", ""), said.get("password", ""), now=now)
            case _:
                return _json({"errors": [{"code": "BAD_REQUEST", "message": "unsupported grant_type"}]}, 400)
        if not good or not self._is_service(said):
            return self._unauthorized()
        return self._grant(said.get("scope", "").split(" "), now)

    def _grant(self, scopes: list[str], now: datetime) -> Answer:
        """Exactly what is both asked for and allowed, with 200 whatever that is."""
        access = [granted for scope in filter(None, scopes) if (granted := self._allowed(scope))]
        self.granted += scopes
        claims = _life(now, ACCESS_LIFE_S) | {"access": access}
        token = self._jwt(claims)
        self._tokens[token] = _Token(claims, self.access.uses)
        # No expires_in: only the token itself says how long it lasts.
        return _json({"access_token": token}, headers=_LIMITS)

    def _allowed(self, scope: str) -> dict[str, Any] | None:
        kind, name, actions = _parts(scope)
        asked = frozenset(actions.split(","))
        if kind == "registry":
            given = asked if name in self.access.catalogues else frozenset[str]()
        elif name == "*" and (self.access.abac or self.access.only is not None):
            return None  # where rights are given by repository, a wildcard is passed over
        elif self.access.only is not None and name not in self.access.only:
            given = frozenset()
        else:
            given = self.access.actions if asked == {"*"} else asked & self.access.actions
        return {"type": kind, "name": name, "actions": sorted(given)} if given else None

    def _is_user(self, name: str, password: str, *, now: datetime) -> bool:
        if self.access.anybody:
            return bool(name and password)
        if name == NOBODY:
            return self._refresh.get(password, 0) > now.timestamp()
        return (name, password) == (self.access.user, self.access.password)

    def _is_service(self, said: Mapping[str, str]) -> bool:
        """Whether it is asked for this registry; anybody may call it by the name that they have for it."""
        return said.get("service") == self.service or (self.access.anybody and bool(said.get("service")))

    def _unauthorized(self) -> Answer:
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": None}]}
        return _json(body, 401)

    def _jwt(self, claims: Mapping[str, Any]) -> str:
        named = {"jti": str(next(self._serial)), "iss": "Azure Container Registry", **claims}
        return ".".join((_base64({"alg": "RS256", "typ": "JWT"}), _base64(named), "c2lnbmF0dXJl"))


_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*")

# Told by these two calls alone.
_LIMITS = {"x-ms-ratelimit-remaining-calls-per-second": "166.45"}


def _life(now: datetime, seconds: float) -> dict[str, Any]:
    begins = int(now.timestamp())
    return {"iat": begins, "nbf": begins, "exp": begins + int(seconds)}


def _parts(scope: str) -> tuple[str, str, str]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, actions


def _form(request: Request) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(request.body.decode()).items()}


def _base64(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(status=status, headers=named, body=json.dumps(document).encode())
