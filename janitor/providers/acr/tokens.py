"""How requests to an Azure container registry are authorized.

- Who asks proves it once, see :mod:`janitor.providers.acr.proof`. With that, an access token is bought for
  each repository and what is to be done there. A wildcard is not asked for: registries that give rights by
  repository pass over it without a word.
- A token has the rights that are both asked for and given: too few are no error before they are used. After
  a 401 a new one is bought once; where that is refused as well, the right is lacking.
"""

from __future__ import annotations

import threading

from janitor.errors import Denied
from janitor.net.bearer import Scope, parse_challenges, pull
from janitor.net.http import Response
from janitor.providers.acr.proof import Proof
from janitor.providers.acr.tokenservice import Claims, Token, TokenService

TOKENS_KEPT = 512  # of some 2 KiB; past this the expired ones are dropped


class Tokens:
    """Gives the requests to one registry their ``Authorization``. Used from many threads."""

    def __init__(self, service: TokenService, proof: Proof) -> None:
        self._service = service
        self._proof = proof
        self._lock = threading.Lock()
        # By what they are good for; see _one_token.
        self._tokens: dict[Scope, Token] = {}
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

    def _token(self, scope: Scope) -> Token:
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

    def _bought(self, scope: Scope) -> Token:
        text = str(self._widened.get(scope, scope))
        try:
            return self._service.buy(text, self._proof.form(self._service))
        except Denied:
            if not self._proof.renew():
                raise
        return self._service.buy(text, self._proof.form(self._service))

    def _remember(self, scope: Scope, token: Token) -> None:
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
