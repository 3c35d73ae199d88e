"""The OCI distribution API, as a client that believes nothing.

- Names and tags that break the specification's grammar are Malformed: none gets into a URL or further.
- A page that repeats another's entries is Malformed. Tags are asked without ``n``: some servers ignore it,
  some cut by it and don't say so.
- A manifest is asked with every manifest type in ``Accept``: with fewer, servers convert, or give out one
  platform for an index. What is read by digest is checked against it.
- A 404 to a delete without the registry's own words is gone only if a look confirms it; after deletes that
  were never answered, what can be looked for and isn't there is gone.

Sources: OCI distribution-spec 1.1; behaviour of distribution 2.8, zot, Quay and Harbor where a line says so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from janitor.core.manifest import ACCEPT
from janitor.errors import Gone, Malformed, Refused, RegistryError, Unreachable, Unsupported
from janitor.net import bearer
from janitor.net.answers import (
    Body,
    Head,
    Unsaid,
    delete_trouble,
    put_trouble,
    read_catalogue,
    read_head,
    read_manifest,
    read_referrers,
    read_tags,
    referrers_trouble,
    verify,
)
from janitor.net.asking import RESTARTS, Asking, Authorizer, P, PageGone, Request
from janitor.net.bearer import Scope
from janitor.net.caller import Caller, Purpose, Trouble
from janitor.net.grammar import check_digest, check_name, check_tag
from janitor.net.http import Http, Response, trouble

T = TypeVar("T")

MANIFEST_LIMIT = 8 << 20  # distribution takes manifests of up to 4 MiB
CONFIG_LIMIT = 16 << 20  # an image's configuration, with the history of its layers

_LOST = "gone: a request without an answer did it"

# An answer that is no success, what was asked, and what the server said -> what it means.
Meaning = Callable[[Response, str, str], Trouble]


class Distribution:
    """One registry by its distribution API. Used from many threads.

    ``endpoint``: scheme and host, without ``/v2/``. ``failed``, ``delete_failed``: what this server's
    refusals of manifests and blobs, and of deletions, mean. Everything raises RegistryError.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        http: Http,
        caller: Caller,
        authenticator: Authorizer,
        failed: Meaning = trouble,
        delete_failed: Meaning = delete_trouble,
    ) -> None:
        self._endpoint = endpoint.rstrip("/").removesuffix("/v2")
        self._asking = Asking(endpoint=endpoint, http=http, caller=caller, authorizer=authenticator)
        self._failed = failed
        self._delete_failed = delete_failed
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
        return self._asking.ask(request, read_head)

    def manifest(self, repository: str, reference: str) -> Body:
        """Read a manifest by digest, or by tag; raises Gone, or Malformed if it isn't of its digest."""
        request = self._manifest_request("GET", repository, reference)
        return self._asking.ask(request, lambda response: read_manifest(response, reference, request.what))

    def exists(self, repository: str, digest: str) -> bool:
        """Look whether a manifest is there at this moment."""
        try:
            self.head(repository, check_digest(digest))
        except Gone:
            return False
        return True

    def blob(self, repository: str, digest: str, *, limit: int = CONFIG_LIMIT) -> bytes:
        """Read a blob; raises Gone, or Malformed if it isn't of its digest or larger than ``limit``."""
        request = Request(
            url=f"{self._endpoint}/v2/{check_name(repository)}/blobs/{check_digest(digest)}",
            scope=bearer.pull(repository),
            what=f"the blob {repository}@{digest}",
            headers={"Accept": "*/*"},
            limit=limit,
            failed=self._failed,
        )

        def read(response: Response) -> bytes:
            verify(digest, response.body, request.what)
            return response.body

        return self._asking.ask(request, read)

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
            self._asking.ask(request, lambda _: None)
        except Gone as exc:
            if isinstance(exc, Unsaid) and self.exists(repository, digest):
                message = "the answer to its deletion was 404, but it is still there"
                raise Refused(f"{repository}@{digest}: {message}") from None
            return _LOST if request.lost else "was gone already"
        except Unreachable:
            with contextlib.suppress(RegistryError):
                if request.lost and not self.exists(repository, digest):
                    return _LOST
            raise
        return None

    def put(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        """Write a manifest under its digest or a tag; raises Gone where what it names isn't there."""
        request = self._manifest_request("PUT", repository, reference)
        request.scope = bearer.push(repository)
        request.headers = {"Content-Type": media_type}
        request.body = content
        request.purpose = Purpose.OTHER
        request.failed = put_trouble
        self._asking.ask(request, lambda _: None)

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Take a tag off by its name; false if it was gone. Only for servers known to keep the manifest."""
        try:
            self._asking.ask(self._delete_request(repository, check_tag(tag)), lambda _: None)
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
            except PageGone:
                continue
        raise Malformed(f"{what} changed {1 + RESTARTS} times while they were listed")

    def _pages(
        self,
        path: str,
        scope: Scope,
        what: str,
        read: Callable[[Response], P],
        failed: Meaning = trouble,
    ) -> Iterator[P]:
        first = Request(url=self._endpoint + path, scope=scope, what=what, failed=failed)
        return self._asking.pages(first, read)

    def _manifest_request(self, method: str, repository: str, reference: str) -> Request:
        by_digest = ":" in reference
        checked = check_digest(reference) if by_digest else check_tag(reference)
        return Request(
            method=method,
            url=f"{self._endpoint}/v2/{check_name(repository)}/manifests/{checked}",
            scope=bearer.pull(repository),
            what=f"{repository}{'@' if by_digest else ':'}{checked}",
            headers={"Accept": ACCEPT},
            limit=MANIFEST_LIMIT,
            failed=self._failed,
        )

    def _delete_request(self, repository: str, reference: str) -> Request:
        request = self._manifest_request("DELETE", repository, reference)
        request.scope = bearer.delete(repository)
        request.purpose = Purpose.DELETE
        request.failed = self._delete_failed
        return request
