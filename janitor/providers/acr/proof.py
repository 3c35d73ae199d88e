"""What proves to an Azure container registry who asks: a password, a refresh token, or a token of Entra."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from janitor.providers.acr.entra import Entra
from janitor.providers.acr.tokenservice import Token, TokenService, claims_of
from janitor.providers.keys import AcrKeys

# The user name whose password is a refresh token, as `az acr login` writes it down.
NOBODY = "00000000-0000-0000-0000-000000000000"


def proof_of(keys: AcrKeys, entra: Entra) -> Proof:
    """Tell by the keys of a registry what proves who asks."""
    if keys.username is None or keys.password is None:
        return Exchanged(entra)
    if keys.username == NOBODY:
        return RefreshToken(keys.password)
    return Password(keys.username, keys.password)


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
        self.by_repository: bool | None = bool(claims_of(value).aad_identity)
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
        self._token: Token | None = None
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
