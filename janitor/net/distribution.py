"""The OCI distribution API, as a client that believes nothing.

- Names and tags that break the specification's grammar are Malformed: none gets into a URL or further.
- Pages are followed by their Link, word for word and on the same origin only; a page that repeats, a Link
  that was there before and a listing without end are Malformed. Tags are asked without ``n``: some servers
  ignore it, some cut by it and don't say so.
- A manifest is asked with every manifest type in ``Accept``: with fewer, servers convert, or give out one
  platform for an index. What is read by digest is checked against it.
- A 404 to a delete without the registry's own words is gone only if a look confirms it.

Sources: OCI distribution-spec 1.1; behaviour of distribution 2.8, zot, Quay and Harbor where a line says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from janitor.core.manifest import ACCEPT
from janitor.errors import Denied, Gone, Malformed, Refused, Unsupported
from janitor.net import bearer
from janitor.net.answers import (
    Body,
    Catalogue,
    Head,
    Referrers,
    Tags,
    Unsaid,
    delete_trouble,
    read_catalogue,
    read_head,
    read_manifest,
    read_referrers,
    read_tags,
    referrers_trouble,
    verify,
)
from janitor.net.bearer import Authenticator, Scope
from janitor.net.caller import Caller, Kind, Purpose, Trouble
from janitor.net.grammar import check_digest, check_name, check_tag, next_link
from janitor.net.http import JSON_LIMIT, Http, Response, join, origin_of, show, trouble
from janitor.net.ocierrors import first_error

T = TypeVar("T")

MANIFEST_LIMIT = 8 << 20  # distribution takes manifests of up to 4 MiB
CONFIG_LIMIT = 16 << 20  # an image's configuration, with the history of its layers
MAX_PAGES = 20_000
MAX_EMPTY_PAGES = 100  # in a row; Quay gives an empty one where nothing on it may be seen
MAX_CHALLENGES = 8  # to one request, where other threads renew the token again and again
RESTARTS = 2  # of a listing whose next page vanished

_UNAUTHORIZED = 401
_REDIRECTED = 300


P = TypeVar("P", Catalogue, Tags, Referrers)


class _Request(msgspec.Struct, kw_only=True):
    """One request and how its answer is taken; ``lost`` counts the attempts that got none."""

    method: str = "GET"
    url: str
    scope: Scope
    what: str
    accept: str = "application/json"
    purpose: Purpose = Purpose.LIST
    limit: int = JSON_LIMIT
    failed: Callable[[Response, str, str], Trouble] = trouble
    lost: int = 0


class _PageGone(Exception):
    """The next page of a listing is gone: what it was to begin after was deleted."""


class Distribution:
    """One registry by its distribution API. Used from many threads.

    ``endpoint``: scheme and host, without ``/v2/``. Everything raises RegistryError.
    """

    def __init__(self, *, endpoint: str, http: Http, caller: Caller, authenticator: Authenticator) -> None:
        self._endpoint = endpoint.rstrip("/").removesuffix("/v2")
        self._origin = origin_of(endpoint)
        self._http = http
        self._caller = caller
        self._authenticator = authenticator
        self._lock = threading.Lock()
        self._has_referrers: bool | None = None

    def catalogue(self) -> tuple[str, ...]:
        """Read the names of all repositories, each once, in the server's order."""
        return self._restarting(self._catalogue, "the catalogue")

    def tags(self, repository: str) -> tuple[str, ...]:
        """Read all tags of a repository; none where it isn't there."""
        check_name(repository)
        try:
            return self._restarting(lambda: self._tags(repository), f"the tags of {repository}")
        except Gone:
            return ()

    def head(self, repository: str, reference: str) -> Head:
        """Ask what a tag points to, or whether a digest is there; counts as no pull. Raises Gone."""
        request = self._manifest_request("HEAD", repository, reference)
        return self._ask(request, read_head)

    def manifest(self, repository: str, reference: str) -> Body:
        """Read a manifest by digest, or by tag; raises Gone, or Malformed if it isn't of its digest."""
        request = self._manifest_request("GET", repository, reference)
        return self._ask(request, lambda response: read_manifest(response, reference, request.what))

    def exists(self, repository: str, digest: str) -> bool:
        """Look whether a manifest is there at this moment."""
        try:
            self.head(repository, check_digest(digest))
        except Gone:
            return False
        return True

    def blob(self, repository: str, digest: str, *, limit: int = CONFIG_LIMIT) -> bytes:
        """Read a blob; raises Gone, or Malformed if it isn't of its digest or larger than ``limit``."""
        request = _Request(
            url=f"{self._endpoint}/v2/{check_name(repository)}/blobs/{check_digest(digest)}",
            scope=bearer.pull(repository),
            what=f"the blob {repository}@{digest}",
            accept="*/*",
            limit=limit,
        )

        def read(response: Response) -> bytes:
            verify(digest, response.body, request.what)
            return response.body

        return self._ask(request, read)

    def referrers(self, repository: str, digest: str) -> tuple[str, ...]:
        """Read the digests of what refers to a manifest; none where the server has no such list.

        The first answer tells whether it has; one that hasn't isn't asked again.
        """
        if self._has_referrers is None:
            with self._lock:  # the others wait for the one that tries
                if self._has_referrers is None:
                    return self._first_referrers(repository, digest)
        if not self._has_referrers:
            return ()
        try:
            return self._referrers(repository, digest)
        except Gone:
            return ()

    def delete(self, repository: str, digest: str) -> str | None:
        """Delete a manifest by its digest, with every tag on it; return what is worth telling, or ``None``.

        Raises Refused where the server never will, Denied where the right is lacking.
        """
        request = self._delete_request(repository, check_digest(digest))
        try:
            self._ask(request, lambda _: None)
        except Gone as exc:
            if isinstance(exc, Unsaid) and self.exists(repository, digest):
                message = "the answer to its deletion was 404, but it is still there"
                raise Refused(f"{repository}@{digest}: {message}") from None
            return "gone: a request without an answer did it" if request.lost else "was gone already"
        return None

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Take a tag off by its name; false if it was gone. Only for servers known to keep the manifest."""
        try:
            self._ask(self._delete_request(repository, check_tag(tag)), lambda _: None)
        except Gone:
            return False
        return True

    def _catalogue(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for page in self._pages("/v2/_catalog?n=100", bearer.CATALOGUE, "the catalogue", read_catalogue):
            before = len(found)
            found.update(dict.fromkeys(map(check_name, page.repositories or ())))
            if page.repositories and len(found) == before:
                raise Malformed(f"the catalogue repeats a page: {page.repositories[0]} and on")
        return tuple(found)

    def _tags(self, repository: str) -> tuple[str, ...]:
        what = f"the tags of {repository}"
        found: dict[str, None] = {}
        for page in self._pages(f"/v2/{repository}/tags/list", bearer.pull(repository), what, read_tags):
            tags = dict.fromkeys(map(check_tag, page.tags or ()))
            again = next((tag for tag in tags if tag in found), None) if found else None
            if again is not None:
                raise Malformed(f"{what} repeat a page: {again} came twice")
            found.update(tags)
        return tuple(found)

    def _first_referrers(self, repository: str, digest: str) -> tuple[str, ...]:
        try:
            found = self._referrers(repository, digest)
        except (Gone, Unsupported):
            self._has_referrers = False
            return ()
        self._has_referrers = True
        return found

    def _referrers(self, repository: str, digest: str) -> tuple[str, ...]:
        what = f"the referrers of {repository}@{digest}"
        path = f"/v2/{check_name(repository)}/referrers/{check_digest(digest)}"

        def read() -> tuple[str, ...]:
            found: dict[str, None] = {}
            for page in self._pages(path, bearer.pull(repository), what, read_referrers, referrers_trouble):
                digests = dict.fromkeys(check_digest(entry.digest) for entry in page.manifests or ())
                if not found.keys().isdisjoint(digests):
                    raise Malformed(f"{what} repeat a page")
                found.update(digests)
            return tuple(found)

        return self._restarting(read, what)

    def _restarting(self, read: Callable[[], T], what: str) -> T:
        for _ in range(1 + RESTARTS):
            try:
                return read()
            except _PageGone:
                continue
        raise Malformed(f"{what} changed {1 + RESTARTS} times while they were listed")

    def _pages(
        self,
        path: str,
        scope: Scope,
        what: str,
        read: Callable[[Response], P],
        failed: Callable[[Response, str, str], Trouble] = trouble,
    ) -> Iterator[P]:
        url: str | None = self._endpoint + path
        asked: set[str] = set()
        empty = 0
        while url is not None:
            if url in asked or len(asked) >= MAX_PAGES or empty > MAX_EMPTY_PAGES:
                raise Malformed(f"{what}: the pages of {show(url)} never end")
            asked.add(url)
            try:
                page, url = self._page(_Request(url=url, scope=scope, what=what, failed=failed), read)
            except Gone as exc:
                if len(asked) > 1:
                    raise _PageGone from exc  # zot, when the tag that the page was to follow is deleted
                raise
            yield page
            empty = 0 if len(page) else empty + 1

    def _page(self, request: _Request, read: Callable[[Response], P]) -> tuple[P, str | None]:
        def read_both(response: Response) -> tuple[P, str | None]:
            link = next_link(response.headers.getlist("Link"))
            following = join(request.url, link) if link else None
            if following is not None and origin_of(following) != self._origin:
                raise Malformed(f"{request.what}: the next page is said to be elsewhere ({show(following)})")
            return read(response), following

        return self._ask(request, read_both)

    def _manifest_request(self, method: str, repository: str, reference: str) -> _Request:
        by_digest = ":" in reference
        checked = check_digest(reference) if by_digest else check_tag(reference)
        return _Request(
            method=method,
            url=f"{self._endpoint}/v2/{check_name(repository)}/manifests/{checked}",
            scope=bearer.pull(repository),
            what=f"{repository}{'@' if by_digest else ':'}{checked}",
            accept=ACCEPT,
            limit=MANIFEST_LIMIT,
        )

    def _delete_request(self, repository: str, reference: str) -> _Request:
        request = self._manifest_request("DELETE", repository, reference)
        request.scope = bearer.delete(repository)
        request.purpose = Purpose.DELETE
        request.failed = delete_trouble
        return request

    def _ask(self, request: _Request, read: Callable[[Response], T]) -> T:
        """Send a request, authorized; once more if its own authorization was not enough.

        What a server asks for before it got anything, and a token that another thread renewed meanwhile, are
        no refusals.
        """
        refused = challenged = 0
        while True:
            sent = self._authenticator.header(request.scope)
            answer = self._call(request, read, sent)
            if not isinstance(answer, _Challenged):
                self._authenticator.accepted(sent)
                return answer
            challenged += 1
            refused += sent is not None and self._authenticator.is_current(sent)
            if refused > 1 or challenged >= MAX_CHALLENGES or not self._learn(answer, request.scope, sent):
                raise self._denied(request, answer.response)

    def _call(self, request: _Request, read: Callable[[Response], T], sent: str | None) -> T | _Challenged:
        headers = {"Accept": request.accept}
        if sent is not None:
            headers["Authorization"] = sent

        def send() -> T | _Challenged:
            try:
                response = self._http.request(
                    request.method, request.url, headers=headers, limit=request.limit
                )
                if response.status == _UNAUTHORIZED:
                    return _Challenged(response)
                if response.status >= _REDIRECTED:
                    raise request.failed(response, request.what, self._said(request, response))
                return read(response)  # within the attempt: a cut answer is asked for again
            except Trouble as exc:
                if exc.verdict.kind is Kind.TRANSIENT:
                    request.lost += 1
                raise

        return self._caller.call(send, purpose=request.purpose)

    def _learn(self, answer: _Challenged, scope: Scope, sent: str | None) -> bool:
        if origin_of(answer.response.url) != self._origin:
            return False  # a host that we were redirected to: its wishes are not the registry's
        return self._authenticator.learn(answer.response, scope, sent)

    def _said(self, request: _Request, response: Response) -> str:
        return str(first_error(response, self._authenticator.secrets(request.scope)))

    def _denied(self, request: _Request, response: Response) -> Denied:
        found = trouble(response, request.what, self._said(request, response))
        if self._authenticator.has_credentials(request.scope):
            return Denied(f"{found}; the credentials are wrong or lack the right")
        return Denied(f"{found}; no credentials are configured for it, and docker's config.json has none")


class _Challenged(msgspec.Struct, frozen=True):
    response: Response
