"""Azure Container Registry as it speaks: its own calls, the distribution API's, and soft delete."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from tests.simulators import content
from tests.simulators.acr_access import AcrAccess, AcrGuard
from tests.simulators.server import Answer, Request, Server
from tests.simulators.truth import Fault, FaultKind, Held, Repository
from tests.simulators.world import World


class AcrFlavour(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one registry. Pages are smaller than the real ones, so that few images make several.

    ``page``: entries of a page at most. ``soft_delete``: what is deleted is kept. ``access``: its rules.
    """

    name: str
    page: int = 2
    soft_delete: bool = False
    access: AcrAccess = AcrAccess()


CLASSIC = AcrFlavour(name="classic")
ABAC = AcrFlavour(name="abac", access=AcrAccess(abac=True, catalogues=frozenset()))
SOFT = AcrFlavour(name="soft-delete", soft_delete=True)
FLAVOURS: Mapping[str, AcrFlavour] = {flavour.name: flavour for flavour in (CLASSIC, ABAC, SOFT)}

SERVICE = "simulated.azurecr.io"


def serve(world: World, port: int, flavour: str | None) -> AcrServer:
    """The server that is started by hand."""
    return AcrServer(world, FLAVOURS[flavour or CLASSIC.name], port=port)


class Binned(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted and is kept."""

    held: Held
    tags: frozenset[str]
    at: datetime


_NAME = r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*)"
_DIGEST = r"(?P<digest>[^/]+)"
_WHAT = r"(?:/_(?:tags|manifests)/(?P<what>[^/]+))?"
_ALL_ON = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}
_DISALLOWED = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps at"
    " https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)


class AcrServer(Server):
    """One registry over a world. ``ghosts``: listed, and 404 to whoever reads them, as was seen."""

    def __init__(
        self,
        world: World | None = None,
        flavour: AcrFlavour = CLASSIC,
        *,
        foreign: str = "http://127.0.0.1:1",
        port: int = 0,
    ) -> None:
        self.flavour = flavour
        self.guard = AcrGuard(flavour.access, SERVICE)
        self.foreign = foreign
        self.ghosts: set[str] = set()
        self.bin: dict[str, dict[str, Binned]] = {}
        self._switches: dict[tuple[str, str], dict[str, bool]] = {}
        self._routes: tuple[tuple[str, str, str, Callable[..., Answer]], ...] = (
            ("GET", r"/v2/", "", self._ping),
            ("GET", r"/(v2|acr/v1)/_catalog", "registry:catalog:*", self._catalogue),
            ("GET", r"/acr/v1/_deleted/_catalog", "registry:deleted_catalog:*", self._deleted_catalogue),
            ("GET", rf"/acr/v1/_deleted/{_NAME}/_manifests", "deleted_read", self._deleted_manifests),
            ("GET", rf"/acr/v1/_deleted/{_NAME}/_tags", "deleted_read", self._deleted_tags),
            (
                "POST",
                rf"/acr/v1/_deleted/{_NAME}/_manifests/(?P<digest>[^/]+)",
                "deleted_restore",
                self._restore,
            ),
            ("GET", rf"/acr/v1/{_NAME}/_manifests", "metadata_read", self._manifests),
            ("GET", rf"/acr/v1/{_NAME}/_manifests/{_DIGEST}", "metadata_read", self._manifest_entry),
            ("GET", rf"/acr/v1/{_NAME}/_tags", "metadata_read", self._tags),
            ("GET", rf"/acr/v1/{_NAME}/_tags/(?P<tag>[^/]+)", "metadata_read", self._tag_entry),
            ("DELETE", rf"/acr/v1/{_NAME}/_tags/(?P<tag>[^/]+)", "delete", self._untag),
            (
                "PATCH",
                rf"/acr/v1/{_NAME}(?:/_(?:tags|manifests)/(?P<what>[^/]+))?",
                "metadata_write",
                self._patch,
            ),
            ("GET", rf"/acr/v1/{_NAME}", "metadata_read", self._repository),
            ("GET", rf"/v2/{_NAME}/tags/list", "pull", self._tag_names),
            ("GET", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "pull", self._read),
            ("HEAD", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "pull", self._read),
            ("PUT", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "push", self._put),
            ("DELETE", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "delete", self._delete),
            ("GET", rf"/v2/{_NAME}/blobs/{_DIGEST}", "pull", self._blob),
            ("GET", rf"/v2/{_NAME}/referrers/{_DIGEST}", "pull", self._referrers),
        )
        super().__init__(world, port=port)

    @property
    def environ(self) -> dict[str, str]:
        """What leads azure-identity to the managed identity that is served here."""
        return {
            "IDENTITY_ENDPOINT": f"{self.address}/msi/token",
            "IDENTITY_HEADER": self.guard.access.header,
        }

    def switch(self, repository: str, what: str = "", **switches: bool) -> None:
        """Set switches of a tag, a digest, or with neither of the repository: ``deleteEnabled=False``."""
        self._switches.setdefault((repository, what), dict(_ALL_ON)).update(switches)

    def answer(self, request: Request) -> Answer:
        answer = self._answer(request)
        # Every answer has these; the id is what the service's support asks for.
        headers = {
            "Docker-Distribution-Api-Version": "registry/2.0",
            "X-Ms-Correlation-Request-Id": str(uuid.uuid4()),
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }
        return msgspec.structs.replace(answer, headers={**headers, **answer.headers})

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.UNAUTHORIZED:
                return self.guard.challenge(self._scope(request), self._realm)
            case FaultKind.REDIRECT:
                return Answer(status=307, headers={"Location": f"{self.foreign}{request.target}"})
            case FaultKind.THROTTLE if fault.retry_after is not None:
                answer = _error(429, "TOOMANYREQUESTS", "Too many requests")
                return _with(answer, {"Retry-After": fault.retry_after})
            case FaultKind.THROTTLE:
                # The front end speaks for itself, and says no time.
                return Answer(status=429, body=b"Ref A: 0123 Ref B: AMS231 Ref C: 2026-01-01T00:00:00Z")
        answer = super().spoil(fault, request)
        match fault.kind:
            case FaultKind.LOST_PAGE:
                kept = {name: value for name, value in answer.headers.items() if name != "Link"}
                return msgspec.structs.replace(answer, headers=kept)
            case FaultKind.REPEATED_PAGE:
                return _with(answer, _link(request.target))
            case FaultKind.ENDLESS_PAGE:
                joint = "&" if "?" in request.target else "?"
                return _with(answer, _link(f"{request.target}{joint}again={fault.struck}"))
            case FaultKind.FOREIGN_LINK:
                return _with(answer, _link(f"{self.foreign}{request.target}"))
            case FaultKind.WRONG_DIGEST:
                return msgspec.structs.replace(answer, body=answer.body.replace(b'"size": ', b'"size": 1'))
        return answer

    def _answer(self, request: Request) -> Answer:
        match request.path:
            case "/msi/token":
                return self.guard.managed_identity(request)
            case "/oauth2/exchange":
                return self.guard.exchange(request, self.world.now)
            case "/oauth2/token":
                return self.guard.token(request, self.world.now)
        for method, pattern, right, handler in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found is None or method != request.method:
                continue
            named = found.groupdict()
            refused = self.guard.refuse(request, _scope(right, named), self._realm, self.world.now)
            return refused or handler(request, **named)
        return Answer(status=404, headers={"Content-Type": "text/plain"}, body=b"404 page not found\n")

    @property
    def _realm(self) -> str:
        return f"{self.address}/oauth2/token"

    def _scope(self, request: Request) -> str:
        for method, pattern, right, _ in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found is not None and method == request.method:
                return _scope(right, found.groupdict())
        return ""

    def _ping(self, request: Request) -> Answer:  # noqa: ARG002  asks nothing
        return _json({})

    def _place(self, name: str) -> Repository | None:
        """A repository without any manifest is none."""
        place = self.world.repositories.get(name)
        return place if place is not None and place.manifests else None

    def _on(self, name: str, what: str, switch: str) -> bool:
        return self._switches.get((name, what), _ALL_ON)[switch]

    def _catalogue(self, request: Request) -> Answer:
        names = [
            name
            for name in self.world.repositories
            if self._place(name) and self._on(name, "", "listEnabled")
        ]
        page, headers = self._page(request, sorted(names))
        # An empty registry says null, not an empty list.
        return _json({"repositories": page or None}, headers)

    def _repository(self, request: Request, name: str) -> Answer:  # noqa: ARG002  there is but one
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        # The counts are of all there is, hidden or not.
        return _json(
            {
                "registry": SERVICE,
                "imageName": name,
                "createdTime": "2018-09-06T06:17:20.9983915Z",
                "lastUpdateTime": "2018-09-06T06:17:20.9983915Z",
                "manifestCount": len(place.manifests),
                "tagCount": len(place.tags),
                "changeableAttributes": self._attributes(name, ""),
            }
        )

    def _manifests(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        listed = [digest for digest in place.manifests if self._on(name, digest, "listEnabled")]
        page, headers = self._page(request, sorted(listed))
        entries = [self._manifest_of(name, place, digest) for digest in page]
        return _json({"registry": SERVICE, "imageName": name, "manifests": entries}, headers)

    def _manifest_entry(self, request: Request, name: str, digest: str) -> Answer:  # noqa: ARG002  one of them
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        if digest not in place.manifests:
            return _manifest_unknown(name, digest)
        entry = self._manifest_of(name, place, digest)
        held = place.manifests[digest]
        if held.children:
            entry["references"] = [{"digest": child, "architecture": "amd64"} for child in held.children]
        return _json({"registry": SERVICE, "imageName": name, "manifest": entry})

    def _manifest_of(self, name: str, place: Repository, digest: str) -> dict[str, Any]:
        held = place.manifests[digest]
        # Placing a tag touches the manifest that it is placed on.
        touched = [place.tagged_at[tag] for tag in place.tags_of(digest) if tag in place.tagged_at]
        entry: dict[str, Any] = {
            "digest": digest,
            # The manifest's own bytes, not the layers: seen of images that were imported.
            "imageSize": len(held.body),
            "mediaType": held.media_type,
            "changeableAttributes": self._attributes(name, digest) | {"quarantineState": "Passed"},
        }
        if held.pushed_at is not None:
            entry["createdTime"] = _timestamp(held.pushed_at)
            entry["lastUpdateTime"] = _timestamp(max([held.pushed_at, *touched]))
        if held.platform:
            entry |= {"architecture": held.platform["architecture"], "os": held.platform["os"]}
        tags = sorted(tag for tag in place.tags_of(digest) if self._on(name, tag, "listEnabled"))
        if tags:  # left out where there are none
            entry["tags"] = tags
        return entry

    def _tags(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        wanted = request.asked("digest")
        listed = [
            tag
            for tag, digest in place.tags.items()
            if self._on(name, tag, "listEnabled") and wanted in {None, digest}
        ]
        page, headers = self._page(request, sorted(listed))
        entries = [self._tag_of(name, place, tag) for tag in page]
        return _json({"registry": SERVICE, "imageName": name, "tags": entries or None}, headers)

    def _tag_entry(self, request: Request, name: str, tag: str) -> Answer:  # noqa: ARG002  one of them
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        if tag not in place.tags:
            return _error(404, "TAG_UNKNOWN", f"tag {tag} is not found", {"Name": name, "Tag": tag})
        return _json({"registry": SERVICE, "imageName": name, "tag": self._tag_of(name, place, tag)})

    def _tag_of(self, name: str, place: Repository, tag: str) -> dict[str, Any]:
        placed = place.tagged_at.get(tag)
        times = {} if placed is None else dict.fromkeys(("createdTime", "lastUpdateTime"), _timestamp(placed))
        return {
            "name": tag,
            "digest": place.tags[tag],
            **times,
            "signed": False,
            "changeableAttributes": self._attributes(name, tag),
        }

    def _tag_names(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        page, headers = self._page(request, sorted(place.tags))
        return _json({"name": name, "tags": page}, headers)

    def _patch(self, request: Request, name: str, what: str | None) -> Answer:
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        said = json.loads(request.body)
        # The command line sends words, programs send booleans; both are taken.
        self.switch(name, what or "", **{key: str(value).lower() == "true" for key, value in said.items()})
        if what is None:
            return self._repository(request, name)
        if what in place.tags:
            return self._tag_entry(request, name, what)
        return self._manifest_entry(request, name, what)

    def _attributes(self, name: str, what: str) -> dict[str, Any]:
        return dict(self._switches.get((name, what), _ALL_ON))

    def _is_locked(self, name: str, what: str) -> bool:
        """Either switch blocks; of a repository only that of writing does, for all that is in it."""
        if not self._on(name, "", "writeEnabled"):
            return True
        return not (self._on(name, what, "deleteEnabled") and self._on(name, what, "writeEnabled"))

    def _delete(self, request: Request, name: str, reference: str) -> Answer:  # noqa: ARG002  asks no more
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        if ":" not in reference:
            return _error(405, "UNSUPPORTED", "a manifest can only be deleted by digest")
        if reference not in place.manifests:
            return _manifest_unknown(name, reference)
        if any(self._is_locked(name, what) for what in (reference, *place.tags_of(reference))):
            return _error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        self._drop(name, reference)
        return Answer(status=202)

    def _drop(self, name: str, digest: str) -> None:
        """The manifest goes with its tags, and what refers to it goes too; an index's children stay."""
        place = self.world[name]
        if self.flavour.soft_delete:
            binned = Binned(held=place.manifests[digest], tags=place.tags_of(digest), at=self.world.now)
            self.bin.setdefault(name, {})[digest] = binned
        self.world.forget(name, digest)
        for referrer in place.referrers_of(digest):
            if referrer.digest in place.manifests:
                self._drop(name, referrer.digest)

    def _untag(self, request: Request, name: str, tag: str) -> Answer:  # noqa: ARG002  asks no more
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        if tag not in place.tags:
            return _error(404, "TAG_UNKNOWN", f"tag {tag} is not found", {"Name": name, "Tag": tag})
        if self._is_locked(name, tag):
            return _error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        place.untag(tag)  # the manifest stays, even without its last tag
        return Answer(status=202)

    def _read(self, request: Request, name: str, reference: str) -> Answer:  # noqa: ARG002  Accept is one for all
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        held = place.manifests.get(place.tags.get(reference, reference))
        if held is None or held.digest in self.ghosts:
            return _manifest_unknown(name, reference)
        if not (self._on(name, "", "readEnabled") and self._on(name, held.digest, "readEnabled")):
            return _error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        headers = {"Content-Type": held.media_type, "Docker-Content-Digest": held.digest}
        return Answer(headers=headers, body=held.body)

    def _put(self, request: Request, name: str, reference: str) -> Answer:
        """Takes what the world once held; what is in the bin is refused, it is to be restored instead."""
        digest = content.sha256(request.body)
        if digest in self.bin.get(name, {}):
            return _error(405, "REGISTRY_DISALLOWED_OPERATION", "Instead restore the soft deleted image")
        place = self.world.repositories.setdefault(name, Repository())
        held = place.manifests.get(digest) or place.absent.get(digest)
        if held is None:
            return _error(400, "MANIFEST_INVALID", "manifest invalid")
        place.manifests[digest] = held
        place.absent.pop(digest, None)
        if ":" not in reference:
            self.world.retag(name, reference, digest)
        return Answer(status=201, headers={"Docker-Content-Digest": digest})

    def _blob(self, request: Request, name: str, digest: str) -> Answer:  # noqa: ARG002  all see all blobs
        data = self.world.blobs.get(digest)
        if data is None:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        return Answer(headers={"Content-Type": "application/octet-stream"}, body=data)

    def _referrers(self, request: Request, name: str, digest: str) -> Answer:
        place = self._place(name)
        if place is None:
            return _name_unknown(name)
        held = {each.digest: each for each in place.referrers_of(digest)}
        page, headers = self._page(request, sorted(held))
        described = [held[each].descriptor(artifactType=held[each].artifact_type) for each in page]
        body = content.index_manifest(content.OCI_INDEX, described)
        return Answer(headers={"Content-Type": content.OCI_INDEX, **headers}, body=body)

    def _deleted_catalogue(self, request: Request) -> Answer:
        if not self.flavour.soft_delete:
            return _error(405, "UNSUPPORTED", "soft delete is not enabled")
        page, headers = self._page(request, sorted(name for name, kept in self.bin.items() if kept))
        named = [{"repository": name, "deletedAt": _timestamp(self.world.now)} for name in page]
        return _json({"repositories": named}, headers)

    def _deleted_manifests(self, request: Request, name: str) -> Answer:
        if not self.flavour.soft_delete:
            return _error(405, "UNSUPPORTED", "soft delete is not enabled")
        kept = self.bin.get(name, {})
        page, headers = self._page(request, sorted(kept))
        entries = [{"digest": each, "deletedAt": _timestamp(kept[each].at)} for each in page]
        return _json({"manifests": entries}, headers)

    def _deleted_tags(self, request: Request, name: str) -> Answer:
        if not self.flavour.soft_delete:
            return _error(405, "UNSUPPORTED", "soft delete is not enabled")
        named = {
            f"{tag}@{digest}": {"tag": tag, "digest": digest, "deletedAt": _timestamp(binned.at)}
            for digest, binned in self.bin.get(name, {}).items()
            for tag in binned.tags
        }
        page, headers = self._page(request, sorted(named))
        return _json({"tags": [named[each] for each in page]}, headers)

    def _restore(self, request: Request, name: str, digest: str) -> Answer:
        """One tag a call; the rest of what is kept of an image waits for further calls."""
        binned = self.bin.get(name, {}).get(digest)
        if binned is None:
            return _manifest_unknown(name, digest)
        place = self.world.repositories.setdefault(name, Repository())
        subject = binned.held.subject
        if subject is not None and subject not in place.manifests:
            return _error(409, "MANIFEST_UNKNOWN_SUBJECT", "restore its subject before it")
        tag = json.loads(request.body)["tag"]
        force = request.asked("force") == "True"
        if tag is not None and place.tags.get(tag, digest) != digest and not force:
            return _error(409, "TAG_EXISTS", "the tag is on another manifest")
        place.manifests[digest] = binned.held
        place.absent.pop(digest, None)
        if tag is not None:
            self.world.retag(name, tag, digest)
        left = binned.tags - {tag}
        if left:
            self.bin[name][digest] = msgspec.structs.replace(binned, tags=left)
        else:
            del self.bin[name][digest]
        return _json({"digest": digest, "tag": tag})

    def _page(self, request: Request, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The names after ``last``; the Link is relative, percent-encoded, and of the path as asked."""
        last = request.asked("last")
        asked = request.asked("n")
        size = min(int(asked) if asked and asked.isdigit() else 100, self.flavour.page)
        rest = [name for name in names if last is None or name > last]
        page = rest[:size]
        if len(page) == len(rest):
            return page, {}
        path = urlsplit(request.target).path
        return page, _link(f"{path}?last={quote(page[-1], safe='')}&n={size}&orderby=")


def _scope(right: str, named: Mapping[str, str | None]) -> str:
    if not right or ":" in right:
        return right
    return f"repository:{named['name']}:{right}"


def _timestamp(moment: datetime) -> str:
    """Seven digits below the second, zeros at their end left out."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    whole, dot, digits = text.partition(".")
    return f"{whole}{dot}{digits.rstrip('0')}Z" if dot else f"{whole}Z"


def _link(target: str) -> dict[str, str]:
    return {"Link": f'<{target}>; rel="next"'}


def _with(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return msgspec.structs.replace(answer, headers={**answer.headers, **headers})


def _json(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(headers=named, body=json.dumps(document).encode())


def _error(status: int, code: str, message: str, detail: Mapping[str, Any] | None = None) -> Answer:
    error: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        error["detail"] = dict(detail)
    return msgspec.structs.replace(_json({"errors": [error]}), status=status)


def _name_unknown(name: str) -> Answer:
    return _error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})


def _manifest_unknown(name: str, digest: str) -> Answer:
    message = f"manifest {digest} is not found"
    return _error(404, "MANIFEST_UNKNOWN", message, {"Name": name, "Revision": digest})
