"""The Hub API, as a client that believes nothing: repositories, tags and their deletion.

- A list is whole or an error. Its ``count`` must be the number of names that came, and its first page must be
  the same at the end as at the beginning: tags are listed by their last update, so that a push moves others
  from one page to the next behind the reader's back. What changed is listed anew, a few times.
- Of ``next`` only path and query are followed, and only if they belong to the list; a page that repeats is
  an error, as is a page on another host.
- A 404 past the first page says that the list became shorter meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit

from janitor.errors import Gone, Malformed
from janitor.net.asking import MAX_PAGES, Asking, Request
from janitor.net.caller import Caller, Purpose, Trouble
from janitor.net.grammar import check_name, check_tag
from janitor.net.http import Http, Response, decode, origin_of, show
from janitor.providers.dockerhub.answers import Page, Repository, RepositoryName, Tag, hub_trouble
from janitor.providers.dockerhub.session import ACCOUNT, Session

T = TypeVar("T")
N = TypeVar("N", Tag, RepositoryName)

PAGE = 100  # the most that a page holds
RESTARTS = 3  # of a list that changes while it is read
_OLDER_ADDRESS = re.compile(r"/v2/repositories/([^/]+)((?:/[^/]+/tags)?)")
_HUB_HOST = "hub.docker.com"


class _Changed(Exception):
    """A list is not what it was when its reading began."""


class Hub:
    """One Hub API. Used from many threads; everything raises RegistryError."""

    def __init__(
        self,
        *,
        endpoint: str,
        http: Http,
        caller: Caller,
        session: Session,
        now: Callable[[], datetime],
    ) -> None:
        self._endpoint = endpoint
        self._origin = origin_of(endpoint)
        self._asking = Asking(endpoint=endpoint, http=http, caller=caller, authorizer=session)
        self._now = now

    def repositories(self, namespace: str) -> tuple[str, ...]:
        """Read the names of the repositories of a namespace, each once."""
        path = f"/v2/namespaces/{_quoted(namespace)}/repositories"
        found = self._whole(
            f"{path}?page_size={PAGE}&ordering=name",
            Page[RepositoryName],
            f"the repositories of {namespace}",
            lambda each: each.name,
            lambda _: False,
        )
        return tuple(check_repository(each.name) for each in found)

    def repository(self, namespace: str, repository: str) -> Repository:
        """Read one repository; raises Gone where it isn't, or may not be seen."""
        path = f"/v2/namespaces/{_quoted(namespace)}/repositories/{_quoted(repository)}"
        return self._ask("GET", path, f"{namespace}/{repository}", lambda got: decode(got, Repository))

    def tags(
        self, namespace: str, repository: str, enough: Callable[[Page[Tag]], bool] = lambda _: False
    ) -> tuple[Tag, ...]:
        """Read all tags of a repository, or as many pages as are ``enough``, in the service's order.

        Raises Gone where it isn't there.
        """
        path = f"/v2/namespaces/{_quoted(namespace)}/repositories/{_quoted(repository)}/tags"
        found = self._whole(
            f"{path}?page_size={PAGE}",
            Page[Tag],
            f"the tags of {namespace}/{repository}",
            lambda tag: (tag.digest, tag.last_updated, tag.tag_last_pushed),
            enough,
        )
        for tag in found:
            check_tag(tag.name)
        return found

    def delete_tag(self, namespace: str, repository: str, tag: str) -> bool:
        """Take a tag off by its name; false if it was gone. The manifest stays."""
        path = f"/v2/repositories/{_quoted(namespace)}/{_quoted(repository)}/tags/{quote(check_tag(tag))}/"
        try:
            self._ask("DELETE", path, f"{namespace}/{repository}:{tag}", lambda _: None)
        except Gone:
            return False
        return True

    def _whole(
        self,
        target: str,
        shape: type[Page[N]],
        what: str,
        stamp: Callable[[N], object],
        enough: Callable[[Page[N]], bool],
    ) -> tuple[N, ...]:
        for _ in range(1 + RESTARTS):
            try:
                return self._all_pages(target, shape, what, stamp, enough)
            except _Changed:
                continue
        message = f"{what} changed, or did not come to what their count says, each of the"
        raise Malformed(f"{message} {1 + RESTARTS} times that they were listed")

    def _all_pages(
        self,
        first: str,
        shape: type[Page[N]],
        what: str,
        stamp: Callable[[N], object],
        enough: Callable[[Page[N]], bool],
    ) -> tuple[N, ...]:
        found: dict[str, N] = {}
        beginning = page = self._page(first, shape, what)
        asked = {first}
        while True:
            before = len(found)
            found.update((each.name, each) for each in page.results)
            if page.results and len(found) == before:
                raise _Changed
            if page.next is None or enough(page):
                break
            target = self._following(page.next, first, what)
            if target in asked or len(asked) >= MAX_PAGES:
                raise Malformed(f"{what}: the pages never end, {show(page.next)} comes again")
            asked.add(target)
            try:
                page = self._page(target, shape, what)
            except Gone:
                raise _Changed from None
        end = beginning if len(asked) == 1 else self._page(first, shape, what)
        if not beginning.count == page.count == end.count:
            raise _Changed
        if page.next is None and len(found) != page.count:
            raise _Changed
        if _stamps(beginning, stamp) != _stamps(end, stamp):
            raise _Changed
        return tuple(found.values())

    def _page(self, target: str, shape: type[Page[N]], what: str) -> Page[N]:
        return self._ask("GET", target, what, lambda response: decode(response, shape))

    def _following(self, address: str, first: str, what: str) -> str:
        """Tell the path and query of the next page: behind a proxy it names the service's own host."""
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            raise Malformed(f"{what}: the address of the next page is none") from None
        path = parts.path
        ours = {None, _HUB_HOST, urlsplit(self._endpoint).hostname}
        if host not in ours or _list_of(path) != first.partition("?")[0]:
            raise Malformed(f"{what}: the next page is said to be elsewhere ({show(address)})")
        return f"{path}?{parts.query}"

    def _ask(self, method: str, target: str, what: str, read: Callable[[Response], T]) -> T:
        def read_ours(response: Response) -> T:
            if origin_of(response.url) != self._origin:
                # It was led there without its token: that would be the answer to a stranger.
                raise Malformed(f"{what}: the answer is said to be elsewhere ({show(response.url)})")
            return read(response)

        request = Request(
            method=method,
            url=self._endpoint + target,
            scope=ACCOUNT,
            what=what,
            purpose=Purpose.DELETE if method == "DELETE" else Purpose.LIST,
            failed=self._failed,
        )
        return self._asking.ask(request, read_ours)

    def _failed(self, response: Response, what: str, said: str) -> Trouble:
        return hub_trouble(response, what, said, self._now)


def _list_of(path: str) -> str:
    """The path by which a list is asked here; a next page may be called by its older address."""
    path = path.rstrip("/")
    older = _OLDER_ADDRESS.fullmatch(path)
    return f"/v2/namespaces/{older[1]}/repositories{older[2]}" if older else path


def check_repository(name: str) -> str:
    """Return the name of a repository or a namespace, if it is one: one part of a name."""
    if "/" in check_name(name):
        raise Malformed(f"{name!r} is no name that a repository or a namespace of Docker Hub can have")
    return name


def _stamps(page: Page[N], stamp: Callable[[N], object]) -> list[tuple[str, object]]:
    return [(each.name, stamp(each)) for each in page.results]


def _quoted(name: str) -> str:
    return quote(check_repository(name), safe="")
