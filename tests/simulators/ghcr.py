"""GitHub's packages as its two hosts speak of them: the API lists and deletes, the registry gives manifests.

Both stand over one world, whose repositories are packages of one owner. What GitHub keeps beside the truth
(ids, downloads, what is deleted) is in its books. Pages may be made smaller than the real ones, so that
few versions make several.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import msgspec

from tests.simulators.access import Access, Guard, Scheme, credentials_of
from tests.simulators.content import timestamp
from tests.simulators.ghcr_books import Books
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started, choose
from tests.simulators.truth import Fault, FaultKind
from tests.simulators.world import World

OWNER = "acme"
POINTS_A_MINUTE = 900
DOWNLOADS = 5000  # a public version that has more is never deleted


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One token, and what it may.

    ``login``: whose it is; ``None`` of a workflow or an app. ``scopes``: of a classic token; others have
    none. ``lists``: packages can be listed with it. ``admin``: it has that role on the packages. ``pulls``:
    the registry lets it in. ``sso``: what the organisation's single sign-on makes of it.
    """

    value: str = "ghp_classic"
    login: str | None = "janitor"
    scopes: frozenset[str] | None = frozenset({"read:packages", "write:packages", "delete:packages"})
    lists: bool = True
    admin: bool = True
    pulls: bool = True
    sso: str | None = None


CLASSIC = Token()
READER = Token(scopes=frozenset({"read:packages"}), admin=False)
WORKFLOW = Token(value="ghs_workflow", login=None, scopes=None, lists=False)
APP = Token(value="ghs_app", login=None, scopes=None, pulls=False)


class GhcrApi(Server):
    """The API. ``page_cap``: entries of a page at most; ``quota``: requests an hour.

    ``anybody``: every token is this one, and every owner that is asked about has the packages; ``owner`` is
    the last. ``used`` are the scopes that its answers took so far. ``clock``: monotonic seconds, for what
    is rationed.
    ``meanwhile`` is called after each answer is made: what happens between one request and the next.
    """

    def __init__(
        self,
        books: Books,
        *,
        owner: str,
        organisation: bool,
        token: Token,
        page_cap: int,
        quota: int,
        clock: Callable[[], float],
        port: int = 0,
    ) -> None:
        self.books = books
        self.owner = owner
        self.organisation = organisation
        self.token = token
        self.anybody = False
        self.page_cap = page_cap
        self.quota = quota
        self.foreign = "http://127.0.0.1:1"
        self.used: set[str] = set()
        self.meanwhile: Callable[[Request], None] = lambda _: None
        self.left = quota
        self._clock = clock
        self._hour = clock()
        self._points: list[tuple[float, int]] = []
        super().__init__(books.world, port=port)

    def answer(self, request: Request) -> Answer:
        answer = self._refused(request) or self._route(request)
        self.meanwhile(request)
        headers = {**self._limits(), **answer.headers}
        if self.token.scopes is not None:
            # Of classic tokens alone; the scopes of others are nobody's business.
            headers["X-OAuth-Scopes"] = ", ".join(sorted(self.token.scopes))
        return msgspec.structs.replace(answer, headers=headers)

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.THROTTLE:
                # The secondary limit: a 403 as if a right were lacking, often without a word on how long.
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                message = "You have exceeded a secondary rate limit. Please wait a few minutes."
                return _error(403, message, headers)
            case FaultKind.SPENT:
                reset = str(int(time.time()) + int(fault.retry_after or 0))
                headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
                return _error(403, "API rate limit exceeded for user ID 1.", headers)
            case FaultKind.UNAUTHORIZED:
                return _error(401, "Bad credentials")
            case FaultKind.REDIRECT:
                return Answer(status=307, headers={"Location": f"{self.foreign}{request.target}"})
        answer = super().spoil(fault, request)
        headers = {name: value for name, value in answer.headers.items() if name != "Link"}
        match fault.kind:
            case FaultKind.LOST_PAGE:
                return msgspec.structs.replace(answer, headers=headers)
            case FaultKind.REPEATED_PAGE:
                headers["Link"] = f'<{self.address}{request.target}>; rel="next"'
            case FaultKind.ENDLESS_PAGE:
                headers["Link"] = f'<{self.address}{request.target}&again={fault.struck}>; rel="next"'
            case FaultKind.FOREIGN_LINK:
                headers["Link"] = f'<{self.foreign}{request.target}>; rel="next"'
            case _:
                return answer
        return msgspec.structs.replace(answer, headers=headers)

    def _limits(self) -> dict[str, str]:
        reset = int(time.time() + self._hour + 3600 - self._clock())
        return {
            "X-RateLimit-Limit": str(self.quota),
            "X-RateLimit-Remaining": str(self.left),
            "X-RateLimit-Reset": str(reset),
            "X-RateLimit-Resource": "core",
        }

    def _refused(self, request: Request) -> Answer | None:
        """What is refused whatever is asked for."""
        if not request.headers.get("user-agent"):
            return _error(403, "Request forbidden by administrative rules.")
        if self._is_too_much(5 if request.method in {"POST", "PUT", "PATCH", "DELETE"} else 1):
            message = "You have exceeded a secondary rate limit. Please wait a few minutes."
            return _error(403, message, {"Retry-After": "60"})
        if not request.path.endswith("/rate_limit") and self._is_spent():
            return _error(403, "API rate limit exceeded for user ID 1.")
        given = _token_of(request)
        if given is None:
            return _error(401, "Requires authentication")
        return (
            None if given == self.token.value or (self.anybody and given) else _error(401, "Bad credentials")
        )

    def _is_too_much(self, points: int) -> bool:
        now = self._clock()
        self._points = [(at, each) for at, each in self._points if now - at < 60]
        if sum(each for _, each in self._points) + points > POINTS_A_MINUTE:
            return True
        self._points.append((now, points))
        return False

    def _is_spent(self) -> bool:
        if self._clock() - self._hour >= 3600:
            self._hour, self.left = self._clock(), self.quota
        if self.left == 0:
            return True
        self.left -= 1
        return False

    def _route(self, request: Request) -> Answer:
        # Segments are split before they are decoded: a slash in a package's name must be encoded.
        path = [unquote(each) for each in urlsplit(request.target).path.strip("/").split("/")]
        if path[:2] == ["api", "v3"]:  # as enterprise servers have it
            path = path[2:]
        match request.method, *path:
            case "GET", "user":
                return self._user()
            case "GET", "rate_limit":
                return self._rates()
            case "GET", "users" | "orgs" as kind, login:
                return self._account(login, kind)
            case _, "orgs" | "users" as kind, login, "packages", *rest:
                if not self._owns(login) or (kind == "orgs") is not self.organisation:
                    return _NOT_FOUND
                return self._packages(request, rest, is_own=self.anybody)
            case _, "user", "packages", *rest if self._is_owners():
                return self._packages(request, rest, is_own=True)
        return _NOT_FOUND

    def _owns(self, login: str) -> bool:
        if self.anybody:
            self.owner = login
        return login.lower() == self.owner.lower()

    def _is_owners(self) -> bool:
        if self.anybody:
            return not self.organisation
        return not self.organisation and (self.token.login or "").lower() == self.owner.lower()

    def _user(self) -> Answer:
        if self.token.login is None:
            return _error(403, "Resource not accessible by integration")
        return _json({"login": self.owner if self._is_owners() else self.token.login, "type": "User"})

    def _rates(self) -> Answer:
        core = {"limit": self.quota, "remaining": self.left, "used": self.quota - self.left}
        core["reset"] = int(self._limits()["X-RateLimit-Reset"])
        return _json({"resources": {"core": core}, "rate": core})

    def _account(self, login: str, kind: str) -> Answer:
        if not self._owns(login) or (kind == "orgs" and not self.organisation):
            return _NOT_FOUND
        return _json({"login": self.owner, "type": "Organization" if self.organisation else "User"})

    def _packages(self, request: Request, rest: Sequence[str], *, is_own: bool) -> Answer:
        denied = self._denied(request)
        if denied is not None:
            return denied
        match request.method, *rest:
            case ("GET",):
                return self._listed(request, is_own=is_own)
            case method, "container", name, *more if self._sees(name, is_own=is_own):
                return self._package(request, method, name, more)
        return _error(404, "Package not found.")

    def _denied(self, request: Request) -> Answer | None:
        """What the token lacks for this request; the scopes that it takes are noted."""
        needed = {"GET": {"read:packages"}, "DELETE": {"read:packages", "delete:packages"}}.get(
            request.method, {"read:packages", "write:packages"}
        )
        self.used |= needed
        if self.token.sso == "required":
            url = f"https://github.com/orgs/{self.owner}/sso?authorization_request=A"
            headers = {"X-GitHub-SSO": f"required; url={url}"}
            return _error(403, "Resource protected by organization SAML enforcement.", headers)
        if self.token.scopes is not None and not needed <= self.token.scopes:
            (lacking, *_) = sorted(needed - self.token.scopes)
            return _error(403, f"You need at least {lacking} scope to do this to a package.")
        if request.method != "GET" and not self.token.admin:
            return _error(403, "You need at least admin permission on this package.")
        return None

    def _sees(self, name: str, *, is_own: bool) -> bool:
        if name not in self.world.repositories:
            return False
        # Of another user only what is public is shown.
        return self.organisation or is_own or name in self.books.public or self.token.login is None

    def _listed(self, request: Request, *, is_own: bool) -> Answer:
        if request.asked("package_type") != "container":
            return _error(400, "Invalid argument.")
        if not self.token.lists:
            return _error(403, "Resource not accessible by integration")
        names = [name for name in self.world.repositories if self._sees(name, is_own=is_own)]
        answer = self._paged(request, [self._described(name) for name in sorted(names)])
        if self.token.sso != "partial":
            return answer
        headers = {**answer.headers, "X-GitHub-SSO": "partial-results; organizations=21955855,20582480"}
        return msgspec.structs.replace(answer, headers=headers)

    def _described(self, name: str) -> dict[str, Any]:
        pushed = sorted(map(self.books.pushed, self.world[name].manifests.values())) or [self.world.now]
        return {
            "id": 1 + sorted(self.world.repositories).index(name),
            "name": name,
            "package_type": "container",
            "owner": {"login": self.owner, "type": "Organization" if self.organisation else "User"},
            "version_count": len(self.world[name].manifests),
            "visibility": "public" if name in self.books.public else "private",
            "url": self._url(name),
            "created_at": timestamp(pushed[0]),
            "updated_at": timestamp(pushed[-1]),
            "html_url": f"https://github.com/{self._kind}/{self.owner}/packages/container/package/{name}",
        }

    @property
    def _kind(self) -> str:
        return "orgs" if self.organisation else "users"

    def _url(self, name: str) -> str:
        return f"{self.address}/{self._kind}/{self.owner}/packages/container/{quote(name, safe='')}"

    def _addressed(self, name: str, versions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Versions with the addresses of each."""
        page = f"https://github.com/{self._kind}/{self.owner}/packages/container"
        return [
            {
                **each,
                "url": f"{self._url(name)}/versions/{each['id']}",
                "package_html_url": f"{page}/package/{name}",
                "html_url": f"{page}/{name}/{each['id']}",
            }
            for each in versions
        ]

    def _package(self, request: Request, method: str, name: str, more: Sequence[str]) -> Answer:
        match method, *more:
            case ("GET",):
                return _json(self._described(name))
            case ("DELETE",):
                return self._delete_package(name)
            case "GET", "versions":
                deleted = request.asked("state") == "deleted"
                versions = self.books.gone(name) if deleted else self.books.active(name)
                return self._paged(request, self._addressed(name, versions))
            case "GET", "versions", version if digest := self._digest(name, version):
                told = self.books.version(name, self.world[name].manifests[digest])
                return _json(self._addressed(name, [told])[0])
            case "DELETE", "versions", version if digest := self._digest(name, version):
                return self._delete(name, int(version), digest)
            case "POST", "versions", version, "restore":
                if version.isdigit() and self.books.restore(name, int(version)):
                    return Answer(status=204)
        return _error(404, "Package version not found.")

    def _digest(self, name: str, version: str) -> str | None:
        return self.books.digest_of(name, int(version)) if version.isdigit() else None

    def _delete(self, name: str, version: int, digest: str) -> Answer:
        """Delete whatever it is, a platform of a living index too; two things alone are refused."""
        place = self.world[name]
        tagged = set(place.tags.values())
        if len(place.manifests) == 1:
            return _error(
                400, "You cannot delete the last version of a package. You must delete the package instead."
            )
        if tagged == {digest}:
            message = "You cannot delete the last tagged version of a package."
            return _error(400, f"{message} You must delete the package instead.")
        if name in self.books.public and self.books.downloads[name, digest] > DOWNLOADS:
            message = "Publicly visible package versions with more than 5000 downloads cannot be deleted."
            return _error(400, f"{message} Contact GitHub support for further assistance.")
        self.books.delete(name, version, digest)
        return Answer(status=204)

    def _delete_package(self, name: str) -> Answer:
        """All of it; it is then no package any more."""
        if name in self.books.public and any(
            self.books.downloads[name, digest] > DOWNLOADS for digest in self.world[name].manifests
        ):
            message = (
                "Publicly visible packages with a version with more than 5000 downloads cannot be deleted."
            )
            return _error(400, f"{message} Contact GitHub support for further assistance.")
        del self.world.repositories[name]
        return Answer(status=204)

    def _paged(self, request: Request, entries: Sequence[Mapping[str, Any]]) -> Answer:
        """One page of a list, counted off from its begin: what comes or goes meanwhile shifts the rest."""
        size = min(_number(request, "per_page", 30), self.page_cap, 100)
        page = _number(request, "page", 1)
        last = max(1, -(-len(entries) // size))
        kept = [f"{key}={values[0]}" for key, values in request.query.items() if key not in {"page", "again"}]
        base = f"{self.address}{urlsplit(request.target).path}?{'&'.join(kept)}"
        near = {"next": page + 1, "last": last} if page < last else {}
        near |= {"prev": page - 1, "first": 1} if page > 1 else {}
        headers = {"Link": ", ".join(f'<{base}&page={number}>; rel="{rel}"' for rel, number in near.items())}
        headers = headers if near else {}
        return _json(list(entries[(page - 1) * size : page * size]), headers)


class _Door(Guard):
    """The registry's token service: any user with the token as the password, and no word on how long."""

    service = "ghcr.io"

    def __init__(self, token: Token, books: Books) -> None:
        super().__init__(Access(scheme=Scheme.BEARER, rights=frozenset({"pull"})))
        self.token_of = token
        self.anybody = False
        self._books = books

    def refuse(self, request: Request, scope: str, realm: str) -> Answer | None:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        # The token itself does, once it is encoded.
        shown = "".join(credentials_of(value + "=" * (-len(value) % 4)))
        if kind.lower() == "bearer" and self.token_of.pulls and self._is_token(shown):
            return None
        return super().refuse(request, scope, realm)

    def token(self, request: Request) -> Answer:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        known = kind == "Basic" and self._is_user(value) and self.token_of.pulls
        scope = request.asked("scope") or ""
        name = scope.partition(":")[2].rpartition(":")[0].partition("/")[2]
        if not known and (kind or name not in self._books.public):
            return Answer(status=403, body=b'{"errors":[{"code":"DENIED","message":"denied"}]}')
        granted = json.loads(self._grant([scope], known=True, names=("token",)).body)
        return _json({"token": granted["token"]})

    def _is_user(self, basic: str) -> bool:
        _, password = credentials_of(basic)
        return password == self.token_of.value or (self.anybody and bool(password))

    def _is_token(self, shown: str) -> bool:
        return shown == self.token_of.value or (self.anybody and _GITHUB.match(shown) is not None)


GHCR = Flavour(name="ghcr", catalogue=False, deletes=False, delete_scope="pull")


class GhcrRegistry(OciServer):
    """The registry: manifests by digest, no list of referrers, no deletion; each GET is a download."""

    def __init__(self, books: Books, *, owner: str, token: Token) -> None:
        self.books = books
        self.anybody = False
        self.owner = owner.lower()
        super().__init__(books.world, GHCR)
        self.guard = _Door(token, books)

    def _read_manifest(self, request: Request, name: str, reference: str) -> Answer:
        package = self._package(name)
        answer = super()._read_manifest(request, package, reference)
        if request.method == "GET" and answer.status == 200:
            self.books.downloads[package, answer.headers["Docker-Content-Digest"]] += 1
        return answer

    def _tags(self, request: Request, name: str) -> Answer:
        return super()._tags(request, self._package(name))

    def _package(self, name: str) -> str:
        owner, _, package = name.partition("/")
        return package if owner == self.owner or self.anybody else ""


class Ghcr:
    """Both hosts over one world; ``address`` is what ``endpoint`` is set to."""

    def __init__(
        self,
        world: World | None = None,
        *,
        owner: str = OWNER,
        organisation: bool = True,
        token: Token = CLASSIC,
        lag: int = 0,
        page_cap: int = 100,
        quota: int = 5000,
        clock: Callable[[], float] = time.monotonic,
        port: int = 0,
    ) -> None:
        self.books = Books(world=world or World(), lag=lag)
        self.api = GhcrApi(
            self.books,
            owner=owner,
            organisation=organisation,
            token=token,
            page_cap=page_cap,
            quota=quota,
            clock=clock,
            port=port,
        )
        self.registry = GhcrRegistry(self.books, owner=owner, token=token)

    @property
    def address(self) -> str:
        return self.api.address

    @property
    def world(self) -> World:
        return self.books.world

    def open(self) -> None:
        """Let anybody in, by whichever name for the owner."""
        self.api.anybody = self.registry.anybody = True
        self._door().anybody = True

    def _door(self) -> _Door:
        door = _Door(self.api.token, self.books)
        self.registry.guard = door
        return door

    def become(self, token: Token) -> None:
        """From now on, this is the token that is good."""
        self.api.token = token
        self._door()

    def close(self) -> None:
        self.api.close()
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """Both hosts, started by hand; the flavour is the kind of owner: ``organisation`` or ``user``."""
    organisation = choose({"organisation": True, "user": False}, flavour, "organisation")
    with Ghcr(world, port=port, organisation=organisation) as server:
        server.open()
        for name, place in world.repositories.items():
            for digest in place.locked:
                server.books.public.add(name)
                server.books.downloads[name, digest] = DOWNLOADS + 1
        facts = {"registry_endpoint": server.registry.address, "owner": OWNER, "token": CLASSIC.value}
        yield Started(address=server.address, facts=facts)


_GITHUB = re.compile(r"(gh[a-z]_|github_pat_|[0-9a-f]{40}$)")  # how tokens begin; the oldest are but digits


def _token_of(request: Request) -> str | None:
    """The token that comes along, however it is written."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "bearer" | "token":
            return value.strip()
        case "basic":
            return credentials_of(value)[1]
    return None


def _number(request: Request, key: str, usual: int) -> int:
    """A number that is asked for; what is none is passed over."""
    asked = request.asked(key) or ""
    return max(1, int(asked)) if asked.isdigit() else usual


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
        body=json.dumps(document).encode(),
    )


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    documentation = "https://docs.github.com/rest/packages/packages"
    document = {"message": message, "documentation_url": documentation, "status": str(status)}
    return msgspec.structs.replace(_json(document, headers), status=status)


_NOT_FOUND = _error(404, "Not Found")
