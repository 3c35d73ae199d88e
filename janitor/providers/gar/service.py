"""Artifact Registry's API, as this project asks it: by Google's client, without the client's own will.

- The client's retries and waits are off: each request is one request of the gate, with a time-out.
- Answers are read as raw protobuf messages. The client's own classes cost fifteen times as much.
- Pages are asked for one by one: the client's pager goes round for ever where a token repeats.
- Slashes in an image's name are written ``%2F`` in the names of packages, versions and tags; the client's
  own helpers don't.
- What was changed without an answer and is gone afterwards was this request's doing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import msgspec

from janitor.errors import Gone, Malformed, RegistryError
from janitor.net.caller import Caller, Kind, Purpose, Verdict
from janitor.net.google import TIMEOUT_S, Account, Unauthenticated, classify, open_channel, verdict

T = TypeVar("T")

HOST = "https://artifactregistry.googleapis.com"
PAGE = 1000  # the most that a page may have
MAX_PAGES = 20_000
MAX_EMPTY_PAGES = 100  # in a row; Google's services may give empty pages with a token
TAGS_SHOWN = 100  # a version tells at most so many of its tags
BATCH = 50  # versions in one deletion; the service's own limit varies, 75 was seen


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the service works at; ``error`` is why it came to nothing, once it is done."""

    name: str
    done: bool
    error: RegistryError | None = None


class Service:
    """One project and location. Used from many threads; everything raises RegistryError.

    ``repository`` is always the short name of one, ``image`` that of an image in it, with its slashes.
    """

    def __init__(
        self,
        *,
        project: str,
        location: str,
        endpoint: str | None,
        environ: Mapping[str, str],
        account: Account,
        caller: Caller,
    ) -> None:
        self.parent = f"projects/{project}/locations/{location}"
        self._endpoint = endpoint or HOST
        self._environ = environ
        self._account = account
        self._caller = caller
        self._lock = threading.Lock()
        self._channel: Any = None
        self._client: Any = None

    def close(self) -> None:
        """Give back the channel."""
        with self._lock:
            channel, self._channel, self._client = self._channel, None, None
        if channel is not None:
            channel.close()

    def repositories(self) -> Iterator[Any]:
        """Give every repository of the location, of any format."""
        what = f"the repositories of {self.parent}"
        for page in self._pages("list_repositories", {"parent": self.parent}, "repositories", what):
            yield from page

    def repository(self, repository: str) -> Any:
        """Read one repository; raises Gone."""
        name = self._path(repository)
        return self._ask("get_repository", {"name": name}, what=f"the repository {name}")

    def docker_images(self, repository: str, *, page_size: int = PAGE) -> Iterator[Any]:
        """Give the images of a repository, page by page; those of all names are mixed."""
        what = f"the images of {self._path(repository)}"
        request = {"parent": self._path(repository)}
        yield from self._pages("list_docker_images", request, "docker_images", what, page_size=page_size)

    def held(self, repository: str, permissions: tuple[str, ...]) -> frozenset[str]:
        """Tell which of these permissions one has on a repository."""
        request = {"resource": self._path(repository), "permissions": list(permissions)}
        answer = self._ask("test_iam_permissions", request, what=f"one's rights on {self._path(repository)}")
        return frozenset(answer.permissions)

    def tags(
        self, repository: str, image: str, digest: str, *, finishing: bool = False
    ) -> frozenset[str] | None:
        """Read the tags that a version has at this moment; ``None`` where it is gone."""
        name = self._version(repository, image, digest)
        what = f"{image}@{digest} in {repository}"
        try:
            version = self._ask("get_version", {"name": name, "view": "FULL"}, what=what, finishing=finishing)
        except Gone:
            return None
        if len(version.related_tags) < TAGS_SHOWN:
            return frozenset(_last(tag.name) for tag in version.related_tags)
        return frozenset(self.all_tags(repository, image, digest, finishing=finishing))

    def all_tags(
        self, repository: str, image: str, digest: str, *, finishing: bool = False
    ) -> tuple[str, ...]:
        """Read the tags of a version from the list of tags, which holds them all."""
        name = self._version(repository, image, digest)
        what = f"the tags of {image}@{digest} in {repository}"
        request = {"parent": self._package(repository, image), "filter": f'version="{name}"'}
        pages = self._pages("list_tags", request, "tags", what, finishing=finishing)
        return tuple(_last(tag.name) for page in pages for tag in page if tag.version == name)

    def points_to(self, repository: str, image: str, tag: str, *, finishing: bool = False) -> str | None:
        """Tell the digest that a tag names at this moment; ``None`` where the tag is gone."""
        name = self._tag(repository, image, tag)
        try:
            what = f"the tag {image}:{tag} in {repository}"
            found = self._ask("get_tag", {"name": name}, what=what, finishing=finishing)
        except Gone:
            return None
        return _last(found.version)

    def delete_tag(self, repository: str, image: str, tag: str) -> None:
        """Take a tag off; one that is gone is off."""
        what = f"the tag {image}:{tag} in {repository}"
        request = {"name": self._tag(repository, image, tag)}
        try:
            self._ask("delete_tag", request, what=what, purpose=Purpose.DELETE)
        except Gone:
            return

    def create_tag(self, repository: str, image: str, tag: str, digest: str) -> None:
        """Put a tag back that was taken off; raises Refused where another stands there by now."""
        request = {
            "parent": self._package(repository, image),
            "tag_id": quote(tag, safe="~:@"),
            "tag": {
                "name": self._tag(repository, image, tag),
                "version": self._version(repository, image, digest),
            },
        }
        what = f"the tag {image}:{tag} in {repository}"
        self._ask("create_tag", request, what=what, purpose=Purpose.OTHER, finishing=True)

    def delete(self, repository: str, image: str, digest: str) -> Operation:
        """Begin to delete a version, never with its tags; raises Gone with what is worth telling."""
        request = {"name": self._version(repository, image, digest), "force": False}
        return self._change("delete_version", request, f"{image}@{digest} in {repository}")

    def delete_all(self, repository: str, image: str, digests: tuple[str, ...]) -> Operation:
        """Begin to delete versions of one image's name; all of them go, or none."""
        request = {
            "parent": self._package(repository, image),
            "names": [self._version(repository, image, digest) for digest in digests],
        }
        return self._change("batch_delete_versions", request, f"{len(digests)} of {image} in {repository}")

    def operation(self, name: str) -> Operation:
        """Ask how far a change has come."""
        what = f"the operation {name}"
        answer = self._ask("get_operation", {"name": name}, what=what, purpose=Purpose.OTHER, finishing=True)
        return _operation(answer, what)

    def _path(self, repository: str) -> str:
        return f"{self.parent}/repositories/{repository}"

    def _package(self, repository: str, image: str) -> str:
        return f"{self._path(repository)}/packages/{quote(image, safe='')}"

    def _version(self, repository: str, image: str, digest: str) -> str:
        return f"{self._package(repository, image)}/versions/{digest}"

    def _tag(self, repository: str, image: str, tag: str) -> str:
        return f"{self._package(repository, image)}/tags/{quote(tag, safe='~:@')}"

    def _change(self, method: str, request: Mapping[str, Any], what: str) -> Operation:
        lost: list[RegistryError] = []
        try:
            answer = self._ask(method, request, what=what, purpose=Purpose.DELETE, lost=lost.append)
        except Gone as exc:
            raise Gone("gone: a request without an answer did it" if lost else "was gone already") from exc
        return _operation(answer.operation, what)

    def _pages(
        self,
        method: str,
        request: Mapping[str, Any],
        field: str,
        what: str,
        *,
        page_size: int = PAGE,
        finishing: bool = False,
    ) -> Iterator[Any]:
        """Give the entries of each page; a token or a page that was there before is no listing."""
        token = ""
        seen: set[str | tuple[str, str, int]] = set()
        empty = 0
        for _ in range(MAX_PAGES):
            asked = {**request, "page_size": page_size, "page_token": token}
            answer = self._ask(method, asked, what=what, finishing=finishing)
            page = getattr(answer, field)
            empty = 0 if page else empty + 1
            if page:
                # Not a whole page of what came before, under whatever token.
                again = (page[0].name, page[-1].name, len(page))
                if again in seen:
                    raise Malformed(f"{what} repeat a page: {page[0].name} and on")
                seen.add(again)
            yield page
            token = answer.next_page_token
            if not token:
                return
            if token in seen or empty > MAX_EMPTY_PAGES:
                raise Malformed(f"{what}: its pages never end")
            seen.add(token)
        raise Malformed(f"{what}: its pages never end")

    def _ask(
        self,
        method: str,
        request: Mapping[str, Any],
        *,
        what: str,
        purpose: Purpose = Purpose.LIST,
        finishing: bool = False,
        lost: Callable[[RegistryError], None] = lambda _: None,
    ) -> Any:
        """Send a request, once more if the token was not good any more; the raw message is returned."""

        def send() -> Any:
            metadata = self._account.metadata()
            return _raw(
                getattr(self._opened(), method)(
                    request=request, retry=None, timeout=TIMEOUT_S, metadata=metadata
                )
            )

        def classified(exc: Exception) -> Verdict | None:
            found = classify(exc, what)
            if found is not None and found.kind is Kind.TRANSIENT:
                lost(found.error)
            return found

        def call() -> Any:
            return self._caller.call(send, purpose=purpose, classify=classified, finishing=finishing)

        try:
            return call()
        except Unauthenticated:
            self._account.refused()
            return call()

    def _opened(self) -> Any:
        """Make the client at the first request: its package takes a third of a second to load."""
        with self._lock:
            if self._client is None:
                from google.cloud import artifactregistry_v1 as ar  # noqa: PLC0415 - as above
                from google.cloud.artifactregistry_v1.services.artifact_registry import (  # noqa: PLC0415
                    transports,
                )

                self._channel = open_channel(self._endpoint, self._environ)
                transport = transports.ArtifactRegistryGrpcTransport(channel=self._channel)
                self._client = ar.ArtifactRegistryClient(transport=transport)
            return self._client


def _raw(answer: Any) -> Any:
    """Take the protobuf message out of what the client made of it: of a pager, its first page's."""
    pages = getattr(answer, "pages", None)
    if pages is not None:
        answer = next(iter(pages))
    unwrap = getattr(type(answer), "pb", None)
    return answer if unwrap is None else unwrap(answer)


def _operation(raw: Any, what: str) -> Operation:
    error = verdict(raw.error.code, raw.error.message, what).error if raw.HasField("error") else None
    return Operation(name=raw.name, done=raw.done, error=error)


def _last(name: str) -> str:
    return unquote(name.rpartition("/")[2])
