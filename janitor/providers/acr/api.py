"""The calls of one Azure container registry: its own ones, and those of the distribution API that it needs.

- Lists come by digest or by name, so that a push meanwhile moves nothing from one page to another.
- A page that repeats an entry is Malformed, as is a name, tag or digest that breaks the grammar.
- A manifest is deleted by its digest alone, a tag only while it is on the digest that was meant: that is
  looked at in the same turn, again before each attempt, because a request that waited or got no answer may
  find the tag elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from janitor.errors import Gone, Malformed
from janitor.net.answers import Unsaid
from janitor.net.asking import Asking, Condition, P, PageGone, Request
from janitor.net.bearer import CATALOGUE, Scope
from janitor.net.caller import Kind, Purpose, Trouble
from janitor.net.distribution import Distribution, Meaning
from janitor.net.grammar import check_digest, check_name, check_tag
from janitor.net.http import Response, decode
from janitor.providers.acr.answers import (
    Catalogue,
    Deleted,
    ManifestEntry,
    Manifests,
    OneManifest,
    OneTag,
    Referrers,
    RepositoryEntry,
    TagEntry,
    Tags,
    delete_trouble,
    deleted_trouble,
    read_trouble,
)
from janitor.providers.acr.tokens import reading

E = TypeVar("E")

_PAGE = "n=100"  # what the service gives where nothing is said; more is cut


def deleting(repository: str) -> Scope:
    """What deleting in a repository takes, and looking before it."""
    return Scope("repository", repository, ("delete", "metadata_read"))


def looking_back(repository: str) -> Scope:
    """What it takes to list what was deleted."""
    return Scope("repository", repository, ("deleted_read",))


def restoring(repository: str) -> Scope:
    """What it takes to bring it back."""
    return Scope("repository", repository, ("deleted_read", "deleted_restore"))


class Moved(Gone):
    """A tag is on another image by now."""


class Vanished(Malformed):
    """What was listed was gone before its last page."""


class Api:
    """One registry. Used from many threads; everything raises RegistryError.

    ``distribution`` reads manifests and configurations.
    """

    def __init__(self, *, endpoint: str, asking: Asking, distribution: Distribution) -> None:
        self._endpoint = endpoint
        self._asking = asking
        self.distribution = distribution

    def catalogue(self) -> tuple[str, ...]:
        """Read the names of all repositories that may be listed."""
        request = self._request(f"/acr/v1/_catalog?{_PAGE}", CATALOGUE, "the catalogue")
        return tuple(self._entries(request, Catalogue, Catalogue.items))

    def repository(self, repository: str) -> RepositoryEntry | None:
        """Read a repository's switches and counts; ``None`` where it isn't there."""
        request = self._request(
            f"/acr/v1/{check_name(repository)}", reading(repository), f"the repository {repository}"
        )
        try:
            return self._asking.ask(request, lambda response: decode(response, RepositoryEntry))
        except Gone:
            return None

    def manifests(self, repository: str) -> dict[str, ManifestEntry]:
        """Read all manifests that may be listed, by digest; raises Gone where the repository is."""
        path = f"/acr/v1/{check_name(repository)}/_manifests?{_PAGE}"
        request = self._request(path, reading(repository), f"the manifests of {repository}")
        return self._entries(request, Manifests, Manifests.items)

    def tags(self, repository: str) -> dict[str, TagEntry]:
        """Read all tags that may be listed, by name; none where the registry knows of none."""
        path = f"/acr/v1/{check_name(repository)}/_tags?{_PAGE}"
        request = self._request(path, reading(repository), f"the tags of {repository}")
        try:
            return self._entries(request, Tags, Tags.items)
        except Gone:
            return {}

    def manifest(self, repository: str, digest: str, *, finishing: bool = False) -> ManifestEntry | None:
        """Read one manifest's tags, times and switches as they are now; ``None`` where it isn't there.

        ``finishing``: look what became of a change, with the token that was sent with it, after a stop too.
        """
        path = f"/acr/v1/{check_name(repository)}/_manifests/{check_digest(digest)}"
        scope = deleting(repository) if finishing else reading(repository)
        request = self._request(path, scope, f"{repository}@{digest}")
        request.finishing = finishing
        try:
            entry = self._asking.ask(request, lambda response: decode(response, OneManifest)).manifest
        except Gone:
            return None
        if entry.digest != digest:
            raise Malformed(f"{repository}@{digest}: the registry told of {entry.digest[:100]!r} instead")
        return entry

    def tag(self, repository: str, tag: str, *, finishing: bool = False) -> str | None:
        """Tell the digest that a tag names now; ``None`` where the tag isn't there. As above."""
        path = f"/acr/v1/{check_name(repository)}/_tags/{check_tag(tag)}"
        scope = deleting(repository) if finishing else reading(repository)
        request = self._request(path, scope, f"{repository}:{tag}")
        request.finishing = finishing
        try:
            return self._asking.ask(request, _digest_of_tag)
        except Gone:
            return None

    def referrers(self, repository: str, digest: str) -> tuple[str, ...]:
        """Read the digests of what refers to a manifest; none where that isn't there."""
        path = f"/v2/{check_name(repository)}/referrers/{check_digest(digest)}"
        request = self._request(path, reading(repository), f"the referrers of {repository}@{digest}")
        try:
            return tuple(self._entries(request, Referrers, Referrers.items))
        except Gone:
            return ()

    def delete(self, repository: str, digest: str) -> str | None:
        """Delete a manifest with every tag on it; return what is worth telling, or ``None``.

        What refers to it goes too, by the registry's own doing. Raises Refused under a lock, and Unsaid where
        a 404 may be some proxy's.
        """
        path = f"/v2/{check_name(repository)}/manifests/{check_digest(digest)}"
        request = self._deletion(path, repository, f"{repository}@{digest}")
        try:
            self._asking.ask(request, _nothing)
        except Unsaid:
            raise
        except Gone:
            return "gone: a request without an answer did it" if request.lost else "was gone already"
        return None

    def untag(self, repository: str, tag: str, digest: str) -> bool:
        """Take a tag off this digest; false if it was off already. Raises Moved where it is on another."""
        path = f"/acr/v1/{check_name(repository)}/_tags/{check_tag(tag)}"
        what = f"{repository}:{tag}"

        def is_there(response: Response) -> None:
            named = _digest_of_tag(response)
            if named != digest:
                raise Trouble(Kind.FINAL, Moved(f"{tag} points to {named} by now"))

        # Looking before it takes the right that deleting takes: both are sent with one token.
        look = self._request(path, deleting(repository), what)
        try:
            self._asking.ask(
                self._deletion(path, repository, what),
                _nothing,
                only_if=Condition(request=look, holds=is_there),
            )
        except (Moved, Unsaid):
            raise
        except Gone:
            return False
        return True

    def deleted(self, repository: str) -> frozenset[str]:
        """Read the digests that were deleted and are kept; raises Unsupported without soft delete."""
        path = f"/acr/v1/_deleted/{check_name(repository)}/_manifests?{_PAGE}"
        what = f"what was deleted of {repository}"
        request = self._request(path, looking_back(repository), what, failed=deleted_trouble)
        try:
            return frozenset(self._entries(request, Deleted, Deleted.items))
        except Gone:
            return frozenset()

    def keeps_deleted(self) -> None:
        """Look whether the registry keeps what was deleted; raises Unsupported where it doesn't."""
        scope = Scope("registry", "deleted_catalog", ("*",))
        what = "the catalogue of what was deleted"
        request = self._request("/acr/v1/_deleted/_catalog?n=1", scope, what, failed=deleted_trouble)
        self._asking.ask(request, _nothing)

    def restore(self, repository: str, digest: str, tag: str | None) -> None:
        """Bring a manifest back, with one tag, unless that is there already."""
        path = f"/acr/v1/_deleted/{check_name(repository)}/_manifests/{check_digest(digest)}?force=False"
        request = Request(
            method="POST",
            url=f"{self._endpoint}{path}",
            scope=restoring(repository),
            what=f"{repository}@{digest}",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=msgspec.json.encode({"tag": tag}),
            purpose=Purpose.OTHER,
            failed=deleted_trouble,
        )
        self._asking.ask(request, _nothing)

    def _entries(
        self, first: Request, page: type[P], items: Callable[[P], Iterable[tuple[str, E]]]
    ) -> dict[str, E]:
        """Read a listing to its end, each entry once."""
        found: dict[str, E] = {}
        try:
            for each in self._asking.pages(first, lambda response: decode(response, page)):
                for name, entry in items(each):
                    if name in found:
                        raise Malformed(f"{first.what}: a page repeats, {name} came twice")
                    found[name] = entry
        except PageGone as exc:
            raise Vanished(f"{first.what} were gone before their last page") from exc
        return found

    def _deletion(self, path: str, repository: str, what: str) -> Request:
        return Request(
            method="DELETE",
            url=f"{self._endpoint}{path}",
            scope=deleting(repository),
            what=what,
            purpose=Purpose.DELETE,
            failed=delete_trouble,
        )

    def _request(self, path: str, scope: Scope, what: str, *, failed: Meaning = read_trouble) -> Request:
        return Request(url=f"{self._endpoint}{path}", scope=scope, what=what, failed=failed)


def _digest_of_tag(response: Response) -> str:
    return check_digest(decode(response, OneTag).tag.digest)


def _nothing(response: Response) -> None:
    """Take a success without looking at what came with it."""
    del response
