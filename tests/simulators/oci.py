"""The OCI distribution API as its servers speak it: each :class:`Flavour` is a server's habits as data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import msgspec

from tests.simulators import content
from tests.simulators.access import Access, Guard
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started, choose
from tests.simulators.truth import Fault, FaultKind, Held, Repository
from tests.simulators.world import World


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one server. Pages are smaller than the real ones, so that few images make several.

    ``page``: entries of a page of tags or referrers whatever ``n`` says; None: all unless ``n`` says.
    ``heeds_n``: ``n`` and ``last`` mean something for tags. ``links``: pages carry a Link.
    ``absolute_links``: with scheme, host and an opaque token instead of ``last``.
    ``last_must_exist``: else 404 with an empty body. ``null_tags``: no tags are ``null``, not ``[]``.
    ``strict_accept``: an OCI manifest is 404 to who doesn't accept it, a list by tag becomes an image.
    ``deletes``, ``deletes_tags``: by digest, by tag. ``tags_only``: DELETE of a digest takes off its tags
    and leaves the manifest. ``held_status``: the answer to deleting what an index names. ``cascades``:
    untagged children and referrers go with what is deleted.
    """

    name: str
    catalogue: bool = True
    catalogue_page: int | None = 2
    catalogue_limit: int | None = 1000
    page: int | None = None
    heeds_n: bool = True
    sorted_tags: bool = True
    null_tags: bool = False
    links: bool = True
    absolute_links: bool = False
    last_must_exist: bool = False
    strict_accept: bool = False
    digest_header: bool = True
    referrers: bool = False
    deletes: bool = True
    deletes_tags: bool = False
    tags_only: bool = False
    held_status: int | None = None
    cascades: bool = False
    delete_scope: str = "delete"


# docker-registry 2.8.2: n and last of tags ignored, unsorted, never a Link; tags: null after the last one.
DISTRIBUTION_2 = Flavour(
    name="distribution-2", heeds_n=False, sorted_tags=False, null_tags=True, strict_accept=True
)
DISTRIBUTION_3 = Flavour(name="distribution-3", deletes_tags=True)
ZOT = Flavour(
    name="zot",
    page=2,
    last_must_exist=True,
    catalogue_limit=None,
    referrers=True,
    deletes_tags=True,
    held_status=405,
)
QUAY = Flavour(
    name="quay",
    page=2,
    absolute_links=True,
    null_tags=True,
    catalogue_limit=None,
    referrers=True,
    deletes_tags=True,
    tags_only=True,
    delete_scope="pull,push",
)
HARBOR = Flavour(
    name="harbor",
    page=2,
    catalogue_page=None,
    catalogue_limit=None,
    referrers=True,
    held_status=412,
    cascades=True,
)
READ_ONLY = Flavour(name="read-only", heeds_n=False, deletes=False)
GITEA = Flavour(name="gitea", links=False, deletes_tags=True)
FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour for flavour in (DISTRIBUTION_2, DISTRIBUTION_3, ZOT, QUAY, HARBOR, READ_ONLY, GITEA)
}


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The server that is started by hand: its pages are as large as the real ones."""
    chosen = choose(FLAVOURS, flavour, DISTRIBUTION_2.name)
    # Quay alone makes pages of tags that nobody asked for.
    page = 50 if chosen.absolute_links else None
    catalogue_page = chosen.catalogue_page and 100
    chosen = msgspec.structs.replace(chosen, page=page, catalogue_page=catalogue_page)
    with OciServer(world, chosen, port=port) as server:
        yield Started(address=server.address)


_NAME = r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*)"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class OciServer(Server):
    """One registry over a world."""

    def __init__(
        self,
        world: World | None = None,
        flavour: Flavour = DISTRIBUTION_2,
        *,
        access: Access | None = None,
        foreign: str = "http://127.0.0.1:1",
        port: int = 0,
    ) -> None:
        self.flavour = flavour
        self.guard = Guard(access or Access())
        self.foreign = foreign
        self._cursors: dict[str, str] = {}
        self._routes: tuple[tuple[re.Pattern[str], Callable[..., Answer]], ...] = (
            (re.compile(r"/v2/?"), self._ping),
            (re.compile(r"/v2/_catalog"), self._catalogue),
            (re.compile(rf"/v2/{_NAME}/tags/list"), self._tags),
            (re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"), self._manifest),
            (re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)"), self._blob),
            (re.compile(rf"/v2/{_NAME}/referrers/(?P<digest>[^/]+)"), self._referrers),
        )
        super().__init__(world, port=port)

    def answer(self, request: Request) -> Answer:
        if request.path == "/token":
            return self.guard.token(request)
        for pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                refused = self.guard.refuse(request, self._scope(request, found), self._realm)
                return refused or handler(request, **found.groupdict())
        return Answer(status=404, headers={"Content-Type": "text/plain"}, body=b"404 page not found\n")

    def spoil(self, fault: Fault, request: Request) -> Answer:
        if fault.kind is FaultKind.UNAUTHORIZED:
            return self.guard.challenge("", self._realm)
        if fault.kind is FaultKind.REDIRECT:
            return Answer(status=307, headers={"Location": f"{self.foreign}{request.target}"})
        answer = super().spoil(fault, request)
        match fault.kind:
            case FaultKind.LOST_PAGE:
                headers = {name: value for name, value in answer.headers.items() if name != "Link"}
            case FaultKind.REPEATED_PAGE:
                headers = dict(answer.headers) | _link(request.target)
            case FaultKind.ENDLESS_PAGE:
                joint = "&" if "?" in request.target else "?"
                headers = dict(answer.headers) | _link(f"{request.target}{joint}again={fault.struck}")
            case FaultKind.FOREIGN_LINK:
                headers = dict(answer.headers) | _link(f"{self.foreign}{request.target}")
            case FaultKind.WRONG_DIGEST:
                return msgspec.structs.replace(answer, body=answer.body.replace(b'"size": ', b'"size": 1'))
            case _:
                return answer
        return msgspec.structs.replace(answer, headers=headers)

    @property
    def _realm(self) -> str:
        return f"{self.address}/token"

    def _scope(self, request: Request, found: re.Match[str]) -> str:
        if request.path == "/v2/_catalog":
            return "registry:catalog:*"
        if "name" not in found.groupdict():
            return ""
        actions = {"GET": "pull", "HEAD": "pull", "DELETE": self.flavour.delete_scope}
        return f"repository:{found['name']}:{actions.get(request.method, 'pull,push')}"

    def _ping(self, request: Request) -> Answer:  # noqa: ARG002  asks nothing
        return _json({}, {"Docker-Distribution-Api-Version": "registry/2.0"})

    def _catalogue(self, request: Request) -> Answer:
        flavour = self.flavour
        if not flavour.catalogue:
            return _error(404, "UNSUPPORTED", "no catalogue")
        asked = request.asked("n")
        number = int(asked) if asked is not None and asked.isdigit() else None
        if number is not None and flavour.catalogue_limit is not None and number > flavour.catalogue_limit:
            return _error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        size = min(filter(None, (number, flavour.catalogue_page)), default=None)
        page, headers = self._page(request, sorted(self.world.repositories), size)
        return _json({"repositories": page}, headers)

    def _tags(self, request: Request, name: str) -> Answer:
        if name not in self.world.repositories:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        flavour = self.flavour
        order = None if flavour.sorted_tags else lambda tag: hashlib.sha256(tag.encode()).digest()
        tags = sorted(self.world[name].tags, key=order)
        last = request.asked("last")
        if flavour.last_must_exist and last is not None and last not in tags:
            return Answer(status=404)
        page, headers = tags, dict[str, str]()
        if flavour.heeds_n:
            asked = request.asked("n")
            number = int(asked) if asked is not None and asked.isdigit() else None
            size = min(filter(None, (number, flavour.page)), default=None)
            page, headers = self._page(request, tags, size)
        return _json({"name": name, "tags": None if flavour.null_tags and not page else page}, headers)

    def _manifest(self, request: Request, name: str, reference: str) -> Answer:
        match request.method:
            case "GET" | "HEAD":
                return self._read_manifest(request, name, reference)
            case "DELETE":
                return self._delete_manifest(name, reference)
            case "PUT":
                return self._put_manifest(request, name, reference)
        return _error(405, "UNSUPPORTED", "The operation is unsupported.")

    def _read_manifest(self, request: Request, name: str, reference: str) -> Answer:
        repository = self.world.repositories.get(name, Repository())
        held = repository.manifests.get(repository.tags.get(reference, reference))
        if held is None:
            detail = {"Name": name, "Revision": reference} if ":" in reference else {"Tag": reference}
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown", detail)
        accepts = request.headers.get("accept", "")
        if self.flavour.strict_accept and held.media_type not in accepts:
            if held.media_type.startswith("application/vnd.oci."):
                return _error(404, "MANIFEST_UNKNOWN", "accept header does not support OCI manifests")
            if held.media_type == content.DOCKER_LIST and reference in repository.tags:
                # Its first platform is given out instead, with that one's digest.
                held = repository.manifests.get(held.children[0], held)
        if request.headers.get("if-none-match", "").strip('"') == held.digest:
            return Answer(status=304)
        headers = {"Content-Type": held.media_type, "Etag": f'"{held.digest}"'}
        if self.flavour.digest_header:
            headers["Docker-Content-Digest"] = held.digest
        return Answer(headers=headers, body=held.body)

    def _delete_manifest(self, name: str, reference: str) -> Answer:
        flavour = self.flavour
        if not flavour.deletes:
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        repository = self.world.repositories.get(name, Repository())
        if _DIGEST.fullmatch(reference) is None:
            if not flavour.deletes_tags:
                return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            if reference not in repository.tags:
                return _error(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Tag": reference})
            repository.untag(reference)
            return Answer(status=202)
        tags = repository.tags_of(reference)
        if reference not in repository.manifests or (flavour.tags_only and not tags):
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if flavour.held_status is not None and repository.holders_of(reference):
            return _error(flavour.held_status, "DENIED", "the manifest is referenced by others")
        if flavour.tags_only:
            for tag in tags:
                repository.untag(tag)
            return Answer(status=202)
        self._drop(name, reference)
        return Answer(status=202)

    def _drop(self, name: str, digest: str) -> None:
        repository = self.world[name]
        held = repository.manifests[digest]
        self.world.forget(name, digest)
        if not self.flavour.cascades:
            return
        for child in held.children:
            if child in repository.manifests and not (
                repository.tags_of(child) or repository.holders_of(child)
            ):
                self._drop(name, child)
        for referrer in repository.referrers_of(digest):
            if referrer.digest in repository.manifests:
                self._drop(name, referrer.digest)

    def _put_manifest(self, request: Request, name: str, reference: str) -> Answer:
        """Takes back only what it once held: enough for undoing a deletion."""
        repository = self.world.repositories.setdefault(name, Repository())
        digest = content.sha256(request.body)
        held = repository.manifests.get(digest) or repository.absent.get(digest)
        if held is None or (":" in reference and reference != digest):
            return _error(400, "MANIFEST_INVALID", "manifest invalid")
        missing = [blob for blob in held.blobs if blob not in self.world.blobs]
        missing += [child for child in held.children if child not in repository.manifests]
        if missing:
            return _error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", {"digest": missing[0]})
        repository.manifests[digest] = held
        repository.absent.pop(digest, None)
        if ":" not in reference:
            self.world.retag(name, reference, digest)
        return Answer(status=201, headers={"Docker-Content-Digest": digest})

    def _blob(self, request: Request, name: str, digest: str) -> Answer:  # noqa: ARG002  all see all blobs
        if request.method not in {"GET", "HEAD"}:
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        data = self.world.blobs.get(digest)
        if data is None:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        return Answer(headers={"Content-Type": "application/octet-stream"}, body=data)

    def _referrers(self, request: Request, name: str, digest: str) -> Answer:
        if not self.flavour.referrers:
            return Answer(status=404, headers={"Content-Type": "text/plain"}, body=b"404 page not found\n")
        held = sorted(
            self.world.repositories.get(name, Repository()).referrers_of(digest), key=lambda each: each.digest
        )
        page, headers = self._page(request, [each.digest for each in held], self.flavour.page)
        manifests = [_referrer(each) for each in held if each.digest in page]
        return Answer(
            headers={"Content-Type": content.OCI_INDEX, **headers},
            body=content.index_manifest(content.OCI_INDEX, manifests),
        )

    def _page(
        self, request: Request, names: Sequence[str], size: int | None
    ) -> tuple[list[str], dict[str, str]]:
        """The names after ``last``, as many as fit, and the Link to the rest."""
        last = request.asked("last")
        if (cursor := request.asked("next_page")) is not None:
            last = self._cursors[cursor]
        rest = [name for name in names if last is None or name > last]
        page = rest if size is None else rest[:size]
        if len(page) == len(rest) or not self.flavour.links:
            return page, {}
        path = quote(request.path)
        if self.flavour.absolute_links:
            cursor = hashlib.sha256(f"{path} {page[-1]}".encode()).hexdigest()
            self._cursors[cursor] = page[-1]
            return page, _link(f"{self.address}{path}?next_page={cursor}")
        return page, _link(f"{path}?last={quote(page[-1], safe='')}&n={size}")


def _referrer(held: Held) -> dict[str, Any]:
    extra: dict[str, Any] = {"annotations": dict(held.labels)} if held.labels else {}
    return held.descriptor(artifactType=held.artifact_type, **extra)


def _link(target: str) -> dict[str, str]:
    return {"Link": f'<{target}>; rel="next"'}


def _json(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
        body=json.dumps(document).encode(),
    )


def _error(status: int, code: str, message: str, detail: Mapping[str, Any] | None = None) -> Answer:
    error = {"code": code, "message": message} | ({"detail": detail} if detail else {})
    answer = _json({"errors": [error]})
    return msgspec.structs.replace(answer, status=status)
