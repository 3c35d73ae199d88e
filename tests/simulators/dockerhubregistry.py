"""The registry of Docker Hub with its token service: manifests by digest, and pulls that are counted."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import msgspec

from tests.simulators.access import Access, Guard
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.server import Answer, Request
from tests.simulators.truth import Fault, FaultKind, Repository
from tests.simulators.world import World

_WINDOW = "w=21600"  # the pull limit is of six hours
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class _Guard(Guard):
    """Its tokens say in the clear what they allow, as those of the real service do."""

    service = "registry.docker.io"

    def _grant(self, scopes: list[str], *, known: bool, names: tuple[str, ...]) -> Answer:
        answer = super()._grant(scopes, known=known, names=names)
        document = json.loads(answer.body)
        plain = document[names[0]]
        granted = self._tokens.pop(plain)
        access = [
            {"type": subject.partition(":")[0], "name": subject.partition(":")[2], "actions": sorted(actions)}
            for subject, actions in granted.scopes.items()
        ]
        claims = json.dumps({"access": access, "jti": plain}).encode()
        token = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.unsigned"
        self._tokens[token] = granted
        body = json.dumps(document | dict.fromkeys(names, token)).encode()
        return msgspec.structs.replace(answer, body=body)


class HubRegistry(OciServer):
    """The registry of one namespace.

    ``left``: pulls that are left; ``pulls``: those that were done. ``then``: done after each answer.
    """

    def __init__(
        self,
        world: World,
        *,
        namespace: str,
        access: Access,
        pulls: int | None,
        referrers: bool,
        page: int | None,
        now: Callable[[], datetime],
    ) -> None:
        self.namespace = namespace
        self.limit = self.left = pulls
        self.now = now
        self.pulls: list[tuple[str, str]] = []
        self.then: Callable[[], object] = lambda: None
        self.used: set[str] = set()
        flavour = Flavour(name="dockerhub", catalogue=False, page=page, referrers=referrers)
        super().__init__(world, flavour, access=access)
        self.guard = _Guard(access)

    def answer(self, request: Request) -> Answer:
        answer = self._answered(request)
        self.then()
        return msgspec.structs.replace(
            answer, headers={"Date": format_datetime(self.now(), usegmt=True), **answer.headers}
        )

    def spoil(self, fault: Fault, request: Request) -> Answer:
        if fault.kind is FaultKind.GATEWAY and "/manifests/" in request.path and request.method == "DELETE":
            # It takes some time, answers 500, and goes on by itself.
            self.answer(request)
            return _error(500, "UNKNOWN", "unknown error")
        return super().spoil(fault, request)

    def _answered(self, request: Request) -> Answer:
        if request.path == "/token":
            return self.guard.token(request)
        for pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                scope = self._scope(request, found)
                if refused := self.guard.refuse(request, scope, self._realm):
                    return refused
                parts = found.groupdict()
                if "name" in parts:
                    namespace, _, parts["name"] = parts["name"].partition("/")
                    if namespace != self.namespace and not self.guard.access.anybody:
                        return self.guard.challenge(scope, self._realm, error="insufficient_scope")
                    self.used.update(scope.rpartition(":")[2].split(","))
                return handler(request, **parts)
        return Answer(status=404, headers={"Content-Type": "text/plain"}, body=b"404 page not found\n")

    def _read_manifest(self, request: Request, name: str, reference: str) -> Answer:
        answer = super()._read_manifest(request, name, reference)
        if request.method == "GET" and answer.status == 200:
            # A manifest that is read is a pull; one that is asked for by HEAD is none.
            if self.left == 0:
                text = "You have reached your pull rate limit. You may increase the limit by authenticating"
                return _error(429, "TOOMANYREQUESTS", text)
            if self.left is not None:
                self.left -= 1
            self.pulls.append((name, reference))
        if self.left is None:
            return answer
        said = {"ratelimit-limit": f"{self.limit};{_WINDOW}", "ratelimit-remaining": f"{self.left};{_WINDOW}"}
        return msgspec.structs.replace(answer, headers={**answer.headers, **said})

    def _delete_manifest(self, name: str, reference: str) -> Answer:
        if _DIGEST.fullmatch(reference) is None:
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        repository = self.world.repositories.get(name, Repository())
        if reference not in repository.manifests:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if repository.tags_of(reference) or repository.holders_of(reference):
            # Only what neither a tag nor another manifest names may go.
            return _error(403, "DENIED", "manifest is referenced by a tag or another manifest")
        self.world.forget(name, reference)
        return Answer(status=202)


def _error(status: int, code: str, message: str) -> Answer:
    document: dict[str, Any] = {"errors": [{"code": code, "message": message}]}
    return Answer(
        status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode()
    )
