"""Artifact Registry by REST: the same methods as by gRPC, each at its address, in JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import grpc
from google.protobuf import json_format

from tests.simulators.gar_rules import Refusal
from tests.simulators.gar_wire import unwrapped
from tests.simulators.server import Answer, Request, Server

if TYPE_CHECKING:
    from tests.simulators.gar import GarServer

_PROJECT = "projects/[^/]+"
_LOCATION = f"{_PROJECT}/locations/[^/]+"
_REPOSITORY = f"{_LOCATION}/repositories/[^/]+"
_PACKAGE = f"{_REPOSITORY}/packages/[^/]+"

# By the verb and the address: the method, and the field that the rest of the address is. The body is the
# whole request but for UpdateTag and CreateTag, where it is the tag.
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", f"(?P<parent>{_LOCATION})/repositories", "ListRepositories"),
    ("GET", f"(?P<name>{_REPOSITORY})", "GetRepository"),
    ("GET", f"(?P<parent>{_REPOSITORY})/dockerImages", "ListDockerImages"),
    ("GET", f"(?P<name>{_REPOSITORY}/dockerImages/[^/]+)", "GetDockerImage"),
    ("GET", f"(?P<parent>{_REPOSITORY})/packages", "ListPackages"),
    ("GET", f"(?P<name>{_PACKAGE})", "GetPackage"),
    ("DELETE", f"(?P<name>{_PACKAGE})", "DeletePackage"),
    ("GET", f"(?P<parent>{_PACKAGE})/versions", "ListVersions"),
    ("GET", f"(?P<name>{_PACKAGE}/versions/[^/]+)", "GetVersion"),
    ("DELETE", f"(?P<name>{_PACKAGE}/versions/[^/]+)", "DeleteVersion"),
    ("POST", f"(?P<parent>{_PACKAGE})/versions:batchDelete", "BatchDeleteVersions"),
    ("GET", f"(?P<parent>{_PACKAGE})/tags", "ListTags"),
    ("POST", f"(?P<parent>{_PACKAGE})/tags", "CreateTag"),
    ("GET", f"(?P<name>{_PACKAGE}/tags/[^/]+)", "GetTag"),
    ("PATCH", f"(?P<name>{_PACKAGE}/tags/[^/]+)", "UpdateTag"),
    ("DELETE", f"(?P<name>{_PACKAGE}/tags/[^/]+)", "DeleteTag"),
    ("POST", f"(?P<resource>{_REPOSITORY}):testIamPermissions", "TestIamPermissions"),
    ("GET", f"(?P<name>{_LOCATION}/operations/[^/]+)", "GetOperation"),
    ("GET", f"(?P<name>{_PROJECT})/locations", "ListLocations"),
)
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
}
_WORDS = {"true": True, "false": False}


class GarRest(Server):
    """Beside a server of gRPC, whose answers these are."""

    def __init__(self, service: GarServer) -> None:
        self._service = service
        super().__init__(service.world)

    def answer(self, request: Request) -> Answer:
        # What an image's name has for a slash stays encoded, by some clients twice.
        path = unquote(urlsplit(request.target).path.replace("%2F", "%252F")).removeprefix("/v1/")
        for verb, pattern, method in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found is not None and verb == request.method:
                return self._perform(request, method, found.groupdict())
        return _refused(Refusal(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {path}"))

    def _perform(self, request: Request, method: str, named: dict[str, str]) -> Answer:
        message = self._service.methods[method].request()
        said: dict[str, Any] = {
            key: _WORDS.get(values[0], values[0])
            for key, values in request.query.items()
            if not key.startswith("$")
        }
        try:
            body = dict(json.loads(request.body or b"{}"))
            if method == "UpdateTag":
                body["name"] = named.pop("name")
            said |= {"tag": body} if method in {"CreateTag", "UpdateTag"} else body
            json_format.ParseDict(said | named, message, ignore_unknown_fields=True)
        except (ValueError, TypeError, json_format.ParseError) as exc:
            return _refused(Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(exc)))
        answered = self._service.perform(method, message, request.headers)
        if isinstance(answered, Refusal):
            return _refused(answered)
        as_numbers = "enum-encoding=int" in (request.asked("$alt") or "")
        told = json_format.MessageToDict(unwrapped(answered), use_integers_for_enums=as_numbers)
        return _json(told)


def _refused(refused: Refusal) -> Answer:
    status = _STATUSES.get(refused.status, 500)
    return _json(
        {"error": {"code": status, "message": refused.message, "status": refused.status.name}}, status
    )


def _json(document: Any, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(status=status, headers=headers, body=json.dumps(document).encode())
