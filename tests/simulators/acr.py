"""Azure Container Registry as it speaks: its own calls, the distribution API's, and soft delete."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from tests.simulators import content
from tests.simulators.acr_access import AcrAccess, AcrGuard
from tests.simulators.acr_answers import (
    error,
    json_answer,
    link,
    manifest_unknown,
    name_unknown,
    timestamp,
    with_headers,
)
from tests.simulators.acr_bin import Bin
from tests.simulators.acr_switches import SWITCHES, Switches
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started, choose
from tests.simulators.truth import Fault, FaultKind, Repository
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


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The server that is started by hand: anybody's registry, its pages as large as the real ones."""
    chosen = choose(FLAVOURS, flavour, CLASSIC.name)
    # Somebody with every right there is.
    access = msgspec.structs.replace(chosen.access, anybody=True, catalogues=AcrAccess().catalogues)
    chosen = msgspec.structs.replace(chosen, access=access, page=1000)
    with AcrServer(world, chosen, port=port) as server:
        for name, place in world.repositories.items():
            for digest in place.locked:
                server.switch(name, digest, deleteEnabled=False)
        # What azure-identity finds a managed identity by.
        yield Started(address=server.address, facts={"registry": SERVICE, **server.environ})


_NAME = r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*)"
_DIGEST = r"(?P<digest>[^/]+)"
_WHAT = r"(?:/_(?:tags|manifests)/(?P<what>[^/]+))?"
_UNKNOWN = datetime.min.replace(tzinfo=UTC)  # of what says no time
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
        self.bin = Bin()
        self._switches = Switches()
        self._routes: tuple[tuple[str, str, str, Callable[..., Answer]], ...] = (
            ("GET", r"/v2/?", "", self._ping),
            ("GET", r"/(v2|acr/v1)/_catalog", "registry:catalog:*", self._catalogue),
            ("GET", r"/acr/v1/_deleted/_catalog", "registry:deleted_catalog:*", self._kept(Bin.catalogue)),
            ("GET", rf"/acr/v1/_deleted/{_NAME}/_manifests", "deleted_read", self._kept(Bin.manifests)),
            ("GET", rf"/acr/v1/_deleted/{_NAME}/_tags", "deleted_read", self._kept(Bin.tags)),
            ("POST", rf"/acr/v1/_deleted/{_NAME}/_manifests/{_DIGEST}", "deleted_restore", self._restore),
            ("GET", rf"/acr/v1/{_NAME}/_manifests", "metadata_read", self._manifests),
            ("GET", rf"/acr/v1/{_NAME}/_manifests/{_DIGEST}", "metadata_read", self._manifest_entry),
            ("GET", rf"/acr/v1/{_NAME}/_tags", "metadata_read", self._tags),
            ("GET", rf"/acr/v1/{_NAME}/_tags/(?P<tag>[^/]+)", "metadata_read", self._tag_entry),
            ("DELETE", rf"/acr/v1/{_NAME}/_tags/(?P<tag>[^/]+)", "delete", self._untag),
            ("PATCH", rf"/acr/v1/{_NAME}{_WHAT}", "metadata_write", self._patch),
            ("GET", rf"/acr/v1/{_NAME}", "metadata_read", self._repository),
            ("DELETE", rf"/acr/v1/{_NAME}", "delete", self._delete_repository),
            ("GET", rf"/v2/{_NAME}/tags/list", "pull", self._tag_names),
            ("GET", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "pull", self._read),
            ("HEAD", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "pull", self._read),
            ("PUT", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "push", self._put),
            ("DELETE", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "delete", self._delete),
            ("GET", rf"/v2/{_NAME}/blobs/{_DIGEST}", "pull", self._blob),
            ("HEAD", rf"/v2/{_NAME}/blobs/{_DIGEST}", "pull", self._blob),
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
        self._switches.turn(repository, what, **switches)

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
                route = self._route(request)
                return self.guard.challenge(route[0] if route else "", self._realm)
            case FaultKind.REDIRECT:
                return Answer(status=307, headers={"Location": f"{self.foreign}{request.target}"})
            case FaultKind.THROTTLE if fault.retry_after is not None:
                answer = error(429, "TOOMANYREQUESTS", "Too many requests")
                return with_headers(answer, {"Retry-After": fault.retry_after})
            case FaultKind.THROTTLE:
                # The front end speaks for itself, and says no time.
                return Answer(status=429, body=b"Ref A: 0123 Ref B: AMS231 Ref C: 2026-01-01T00:00:00Z")
        answer = super().spoil(fault, request)
        match fault.kind:
            case FaultKind.LOST_PAGE:
                kept = {name: value for name, value in answer.headers.items() if name != "Link"}
                return msgspec.structs.replace(answer, headers=kept)
            case FaultKind.REPEATED_PAGE:
                return with_headers(answer, link(request.target))
            case FaultKind.ENDLESS_PAGE:
                joint = "&" if "?" in request.target else "?"
                return with_headers(answer, link(f"{request.target}{joint}again={fault.struck}"))
            case FaultKind.FOREIGN_LINK:
                return with_headers(answer, link(f"{self.foreign}{request.target}"))
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
        route = self._route(request)
        if route is None:
            return error(404, "NOT_FOUND", "404 page not found")
        scope, handler, named = route
        return self.guard.refuse(request, scope, self._realm, self.world.now) or handler(request, **named)

    @property
    def _realm(self) -> str:
        return f"{self.address}/oauth2/token"

    def _route(self, request: Request) -> tuple[str, Callable[..., Answer], dict[str, Any]] | None:
        """The right that a request takes, what answers it, and what its path names."""
        for method, pattern, right, handler in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found is not None and method == request.method:
                named = found.groupdict()
                scope = right if not right or ":" in right else f"repository:{named['name']}:{right}"
                return scope, handler, named
        return None

    def _ping(self, request: Request) -> Answer:  # noqa: ARG002  asks nothing
        return json_answer({})

    def _place(self, name: str) -> Repository | None:
        """A repository without any manifest is none."""
        place = self.world.repositories.get(name)
        return place if place is not None and place.manifests else None

    def _catalogue(self, request: Request) -> Answer:
        names = [
            name
            for name in self.world.repositories
            if self._place(name) and self._switches.on(name, "", "listEnabled")
        ]
        page, headers = self._page(request, sorted(names))
        # An empty registry says null, not an empty list.
        return json_answer({"repositories": page or None}, headers)

    def _repository(self, request: Request, name: str) -> Answer:  # noqa: ARG002  there is but one
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        # The counts are of all there is, hidden or not.
        return json_answer(
            {
                "registry": SERVICE,
                "imageName": name,
                "createdTime": "2018-09-06T06:17:20.9983915Z",
                "lastUpdateTime": "2018-09-06T06:17:20.9983915Z",
                "manifestCount": len(place.manifests),
                "tagCount": len(place.tags),
                "changeableAttributes": self._switches.of(name, ""),
            }
        )

    def _manifests(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        listed = [digest for digest in place.manifests if self._switches.on(name, digest, "listEnabled")]
        page, headers = self._page(request, _ordered(request, listed, lambda each: _touched(place, each)))
        entries = [self._manifest_of(name, place, digest) for digest in page]
        return json_answer({"registry": SERVICE, "imageName": name, "manifests": entries}, headers)

    def _manifest_entry(self, request: Request, name: str, digest: str) -> Answer:  # noqa: ARG002  one of them
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        if digest not in place.manifests:
            return manifest_unknown(name, digest)
        entry = self._manifest_of(name, place, digest)
        held = place.manifests[digest]
        if held.children:
            entry["references"] = [{"digest": child, "architecture": "amd64"} for child in held.children]
        return json_answer({"registry": SERVICE, "imageName": name, "manifest": entry})

    def _manifest_of(self, name: str, place: Repository, digest: str) -> dict[str, Any]:
        held = place.manifests[digest]
        entry: dict[str, Any] = {
            "digest": digest,
            # The manifest's own bytes, not the layers: seen of images that were imported.
            "imageSize": len(held.body),
            "mediaType": held.media_type,
            "changeableAttributes": self._switches.of(name, digest) | {"quarantineState": "Passed"},
        }
        if held.pushed_at is not None:
            entry["createdTime"] = timestamp(held.pushed_at)
            entry["lastUpdateTime"] = timestamp(_touched(place, digest))
        if held.platform:
            entry |= {"architecture": held.platform["architecture"], "os": held.platform["os"]}
        tags = sorted(tag for tag in place.tags_of(digest) if self._switches.on(name, tag, "listEnabled"))
        if tags:  # left out where there are none
            entry["tags"] = tags
        return entry

    def _tags(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        wanted = request.asked("digest")
        listed = [
            tag
            for tag, digest in place.tags.items()
            if self._switches.on(name, tag, "listEnabled") and wanted in {None, digest}
        ]
        page, headers = self._page(request, _ordered(request, listed, lambda tag: _placed(place, tag)))
        entries = [self._tag_of(name, place, tag) for tag in page]
        return json_answer({"registry": SERVICE, "imageName": name, "tags": entries or None}, headers)

    def _tag_entry(self, request: Request, name: str, tag: str) -> Answer:  # noqa: ARG002  one of them
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        if tag not in place.tags:
            return error(404, "TAG_UNKNOWN", f"tag {tag} is not found", {"Name": name, "Tag": tag})
        return json_answer({"registry": SERVICE, "imageName": name, "tag": self._tag_of(name, place, tag)})

    def _tag_of(self, name: str, place: Repository, tag: str) -> dict[str, Any]:
        placed = place.tagged_at.get(tag)
        times = {} if placed is None else dict.fromkeys(("createdTime", "lastUpdateTime"), timestamp(placed))
        return {
            "name": tag,
            "digest": place.tags[tag],
            **times,
            "signed": False,
            "changeableAttributes": self._switches.of(name, tag),
        }

    def _tag_names(self, request: Request, name: str) -> Answer:
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        page, headers = self._page(request, sorted(place.tags))
        return json_answer({"name": name, "tags": page}, headers)

    def _patch(self, request: Request, name: str, what: str | None) -> Answer:
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        try:
            said = json.loads(request.body).items()
        except (ValueError, AttributeError):
            return error(400, "BAD_REQUEST", "the body is no object of JSON")
        # The command line sends words, programs send booleans; both are taken.
        switches = {key: str(value).lower() == "true" for key, value in said if key in SWITCHES}
        told = self._told(request, name, what)
        if told().status != 200:
            return told()
        self.switch(name, what or "", **switches)
        return told()

    def _told(self, request: Request, name: str, what: str | None) -> Callable[[], Answer]:
        """What tells of a repository, or of a tag or digest of it."""
        if what is None:
            return lambda: self._repository(request, name)
        if ":" in what:
            return lambda: self._manifest_entry(request, name, what)
        return lambda: self._tag_entry(request, name, what)

    def _delete(self, request: Request, name: str, reference: str) -> Answer:  # noqa: ARG002  asks no more
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        if ":" not in reference:
            return error(405, "UNSUPPORTED", "a manifest can only be deleted by digest")
        if reference not in place.manifests:
            return manifest_unknown(name, reference)
        if any(self._switches.lock(name, what) for what in (reference, *place.tags_of(reference))):
            return error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        self._drop(name, reference)
        return Answer(status=202)

    def _delete_repository(self, request: Request, name: str) -> Answer:  # noqa: ARG002  asks no more
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        if any(self._switches.lock(name, what) for what in ("", *place.manifests, *place.tags)):
            return error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        gone = {"manifestsDeleted": sorted(place.manifests), "tagsDeleted": sorted(place.tags)}
        for digest in gone["manifestsDeleted"]:
            if digest in place.manifests:
                self._drop(name, digest)
        return msgspec.structs.replace(json_answer(gone), status=202)

    def _drop(self, name: str, digest: str) -> None:
        """The manifest goes with its tags, and what refers to it goes too; an index's children stay."""
        place = self.world[name]
        if self.flavour.soft_delete:
            self.bin.throw_in(name, place.manifests[digest], place.tags_of(digest), self.world.now)
        self.world.forget(name, digest)
        for referrer in place.referrers_of(digest):
            if referrer.digest in place.manifests:
                self._drop(name, referrer.digest)

    def _untag(self, request: Request, name: str, tag: str) -> Answer:  # noqa: ARG002  asks no more
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        if tag not in place.tags:
            return error(404, "TAG_UNKNOWN", f"tag {tag} is not found", {"Name": name, "Tag": tag})
        if self._switches.lock(name, tag):
            return error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        if self.flavour.soft_delete:
            self.bin.throw_tag_in(name, tag, place.tags[tag], self.world.now)
        place.untag(tag)  # the manifest stays, even without its last tag
        return Answer(status=202)

    def _read(self, request: Request, name: str, reference: str) -> Answer:  # noqa: ARG002  Accept is one for all
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        held = place.manifests.get(place.tags.get(reference, reference))
        if held is None or held.digest in self.ghosts:
            return manifest_unknown(name, reference)
        if not (
            self._switches.on(name, "", "readEnabled") and self._switches.on(name, held.digest, "readEnabled")
        ):
            return error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, {})
        headers = {"Content-Type": held.media_type, "Docker-Content-Digest": held.digest}
        return Answer(headers=headers, body=held.body)

    def _put(self, request: Request, name: str, reference: str) -> Answer:
        """Takes what the world once held; what is in the bin is refused, it is to be restored instead."""
        digest = content.sha256(request.body)
        if self.bin.holds(name, digest):
            return error(405, "REGISTRY_DISALLOWED_OPERATION", "Instead restore the soft deleted image")
        place = self.world.repositories.setdefault(name, Repository())
        held = place.manifests.get(digest) or place.absent.get(digest)
        if held is None:
            return error(400, "MANIFEST_INVALID", "manifest invalid")
        place.manifests[digest] = held
        place.absent.pop(digest, None)
        if ":" not in reference:
            self.world.retag(name, reference, digest)
        return Answer(status=201, headers={"Docker-Content-Digest": digest})

    def _blob(self, request: Request, name: str, digest: str) -> Answer:  # noqa: ARG002  all see all blobs
        data = self.world.blobs.get(digest)
        if data is None:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if asked is None:
            return Answer(headers=headers, body=data)
        # Azure's own clients take blobs in pieces.
        first = int(asked[1])
        part = data[first : int(asked[2] or len(data)) + 1]
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        return Answer(status=206, headers=headers, body=part)

    def _referrers(self, request: Request, name: str, digest: str) -> Answer:
        place = self._place(name)
        if place is None:
            return name_unknown(name)
        held = {each.digest: each for each in place.referrers_of(digest)}
        page, headers = self._page(request, sorted(held))
        described = [held[each].descriptor(artifactType=held[each].artifact_type) for each in page]
        body = content.index_manifest(content.OCI_INDEX, described)
        return Answer(headers={"Content-Type": content.OCI_INDEX, **headers}, body=body)

    def _kept(self, read: Callable[..., tuple[str, list[dict[str, Any]]]]) -> Callable[..., Answer]:
        """Answer a page of what is in the bin, by a function that reads all of it, each with its place."""

        def answer(request: Request, **named: str) -> Answer:
            if not self.flavour.soft_delete:
                return error(405, "UNSUPPORTED", "soft delete is not enabled")
            key, entries = read(self.bin, **named)
            by_place = {f"{number:06}": entry for number, entry in enumerate(entries)}
            page, headers = self._page(request, sorted(by_place))
            return json_answer({key: [by_place[place] for place in page]}, headers)

        return answer

    def _restore(self, request: Request, name: str, digest: str) -> Answer:
        return self.bin.restore(request, self.world, name, digest)

    def _page(self, request: Request, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The names after ``last``; the Link is relative, percent-encoded, and of the path as asked."""
        last = request.asked("last")
        asked = request.asked("n")
        size = min(int(asked) if asked and asked.isdigit() else 100, self.flavour.page)
        if last in names:
            rest = names[names.index(last) + 1 :]
        else:
            rest = [name for name in names if last is None or name > last]
        page = list(rest[:size])
        if len(page) == len(rest):
            return page, {}
        path = urlsplit(request.target).path
        order = request.asked("orderby") or ""
        return page, link(f"{path}?last={quote(page[-1], safe='')}&n={size}&orderby={order}")


def _ordered(request: Request, names: list[str], moment: Callable[[str], datetime]) -> list[str]:
    """By name, or by the time of the last change where that is asked for."""
    names = sorted(names)
    if request.asked("orderby") in {"timeasc", "timedesc"}:
        names.sort(key=moment, reverse=request.asked("orderby") == "timedesc")
    return names


def _touched(place: Repository, digest: str) -> datetime:
    """When it was pushed, or the last tag was placed on it: that touches it too."""
    placed = [place.tagged_at[tag] for tag in place.tags_of(digest) if tag in place.tagged_at]
    pushed = place.manifests[digest].pushed_at
    return max([pushed or _UNKNOWN, *placed])


def _placed(place: Repository, tag: str) -> datetime:
    return place.tagged_at.get(tag, _UNKNOWN)
