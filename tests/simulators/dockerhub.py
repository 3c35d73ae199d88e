"""Docker Hub as it answers: the Hub API, and the registry with its token service, over one world.

They are two services of two kinds of tokens, so two servers: what a tag is and when it was pulled is told by
the one, manifests by the other. A world's repositories are those of one namespace.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from msgspec import UNSET

from janitor.core.image import ImageType
from tests.simulators.access import Access, Scheme
from tests.simulators.content import INDEX_TYPES
from tests.simulators.dockerhubregistry import HubRegistry
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started, choose
from tests.simulators.truth import Fault, FaultKind, Held
from tests.simulators.world import World

NAMESPACE = "acme"
USER = "robot"
SECRET = "dckr_pat_simulated"  # a token's beginning says its kind
NEVER = (None, "0001-01-01T00:00:00Z", "")  # how "never pulled" has been seen to be written
EVERYTHING = frozenset({"read", "write", "delete"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is, and how the service behaves to it.

     ``rights``: what the token allows; ``admin``: whether the user may administrate. ``page``: entries of a
     page at most (100 really; fewer here, so that few tags make several). ``old``: tags lack digest and media
     type. ``life``: seconds of a token. ``pulls``: manifests that may be read, ``None``: unlimited.
     ``requests``: of the Hub API a minute. ``logins``: where one may log in. ``public``: what strangers see.
     ``immutable``: expressions of tags that can't be deleted, in every repository; empty: all tags.
    ``referrers``: the registry lists them. ``nevers``: how "never pulled" is written. ``anybody``: every user
    and secret are these, and every namespace is this one.
    """

    name: str = "team"
    user: str = USER
    secret: str = SECRET
    rights: frozenset[str] = EVERYTHING
    admin: bool = True
    page: int = 2
    old: bool = False
    life: int = 600
    pulls: int | None = None
    requests: int = 6000
    logins: frozenset[str] = frozenset({"/v2/auth/token", "/v2/users/login"})
    two_factors: bool = False
    public: frozenset[str] = frozenset()
    immutable: tuple[str, ...] | None = None
    referrers: bool = True
    nevers: tuple[str | None, ...] = NEVER
    anybody: bool = False


TEAM = Plan()
OLD = Plan(name="old", old=True, life=60, page=3)
PERSONAL = Plan(name="personal", pulls=200, requests=600, page=100)
PLANS: Mapping[str, Plan] = {plan.name: plan for plan in (TEAM, OLD, PERSONAL)}

_NAME = r"(?P<namespace>[a-z0-9._-]+)"
_REPOSITORY = r"(?P<repository>[a-z0-9._-]+)"


class HubServer(Server):
    """The Hub API of one namespace.

    ``tells``: fields of every tag that are told otherwise, ``UNSET`` not at all. ``then``: done after each
    answer, while others read on. ``refusal``: status and words of every answer to a deletion.
    ``by_name``: tags are listed by their names. ``late``: time that passed beside the clock.
    """

    def __init__(self, world: World | None = None, plan: Plan = TEAM, *, port: int = 0) -> None:
        self.plan = plan
        self.namespace = NAMESPACE  # of the last request, where it may be any
        self.foreign = "http://127.0.0.1:1"
        self.late = timedelta()
        self.clock: Callable[[], datetime] = lambda: self.world.now
        self.tells: dict[str, Any] = {}
        self.then: Callable[[Request], None] = lambda _: None
        self.by_name = False
        self.refusal: tuple[int, str] | None = None
        self.used: set[str] = set()
        self.pulled_tags: dict[tuple[str, str], datetime] = {}
        self._tokens: dict[str, datetime] = {}
        self._spent: dict[datetime, int] = {}
        place = rf"/v2/namespaces/{_NAME}/repositories"
        self._routes: tuple[tuple[re.Pattern[str], Callable[..., Answer]], ...] = (
            (re.compile(rf"{place}/?"), self._repositories),
            (re.compile(rf"{place}/{_REPOSITORY}/?"), self._repository),
            (re.compile(rf"{place}/{_REPOSITORY}/tags/?"), self._tags),
            (re.compile(rf"{place}/{_REPOSITORY}/tags/(?P<tag>[^/]+)/?"), self._tag),
            (re.compile(rf"/v2/repositories/{_NAME}/?"), self._repositories),
            (re.compile(rf"/v2/repositories/{_NAME}/{_REPOSITORY}/?"), self._repository),
            (re.compile(rf"/v2/repositories/{_NAME}/{_REPOSITORY}/tags/?"), self._tags),
            (re.compile(rf"/v2/repositories/{_NAME}/{_REPOSITORY}/tags/(?P<tag>[^/]+)/?"), self._tag),
        )
        super().__init__(world, port=port)

    def now(self) -> datetime:
        """The server's time: the world's, or a test's clock, and what a test let pass."""
        return self.clock() + self.late

    def revoke(self) -> None:
        """No token that was given out is good any more."""
        self._tokens.clear()

    def answer(self, request: Request) -> Answer:
        answer = self._dated(self._limited() or self._answered(request))
        self.then(request)
        return answer

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.THROTTLE:
                return self._dated(self._too_many(float(fault.retry_after or 1)))
            case FaultKind.UNAUTHORIZED:
                return self._dated(_said(401, message="unauthorized"))
            case FaultKind.REDIRECT:
                return Answer(status=307, headers={"Location": f"{self.foreign}{request.target}"})
            case FaultKind.LOST_PAGE:
                return self._turned(request, None)
            case FaultKind.REPEATED_PAGE:
                return self._turned(request, self._absolute(request.target))
            case FaultKind.ENDLESS_PAGE:
                return self._turned(request, self._absolute(f"{request.target}&again={fault.struck}"))
            case FaultKind.FOREIGN_LINK:
                return self._turned(request, f"{self.foreign}{request.target}")
        return super().spoil(fault, request)

    def _turned(self, request: Request, address: str | None) -> Answer:
        """The answer with another next page, where it is a page at all."""
        answer = self.answer(request)
        document = json.loads(answer.body) if answer.body else {}
        if "next" not in document:
            return answer
        return msgspec.structs.replace(answer, body=json.dumps(document | {"next": address}).encode())

    def _absolute(self, target: str) -> str:
        # Whatever address it was asked by, it names its own: clients behind a proxy must not follow it there.
        # Only clients that were started by hand may be led here: elsewhere is the real one.
        return f"{self.address if self.plan.anybody else 'https://hub.docker.com'}{target}"

    def _dated(self, answer: Answer) -> Answer:
        reset = self._window() + timedelta(minutes=1)
        limits = {
            "Date": format_datetime(self.now(), usegmt=True),
            "X-RateLimit-Limit": str(self.plan.requests),
            "X-RateLimit-Remaining": str(max(0, self.plan.requests - self._spent.get(self._window(), 0))),
            "X-RateLimit-Reset": str(int(reset.timestamp())),
        }
        return msgspec.structs.replace(answer, headers={**limits, **answer.headers})

    def _window(self) -> datetime:
        return self.now().replace(second=0, microsecond=0)

    def _limited(self) -> Answer | None:
        window = self._window()
        self._spent[window] = self._spent.get(window, 0) + 1
        if self._spent[window] <= self.plan.requests:
            return None
        return self._too_many((window + timedelta(minutes=1) - self.now()).total_seconds())

    def _too_many(self, seconds: float) -> Answer:
        # The time until which to wait, in seconds since 1970, and not how long.
        until = int((self.now() + timedelta(seconds=seconds)).timestamp())
        answer = _json({"detail": "Rate limit exceeded", "error": False}, status=429)
        return msgspec.structs.replace(answer, headers={**answer.headers, "X-Retry-After": str(until)})

    def _answered(self, request: Request) -> Answer:
        if request.path.rstrip("/") in self.plan.logins and request.method == "POST":
            return self._login(request)
        if request.path.rstrip("/") == "/v2/user":
            return self._let_in(request) or self._user(request)
        for pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                named = found.groupdict()
                namespace = named.pop("namespace")
                if self.plan.anybody:
                    self.namespace = namespace
                if namespace != self.namespace:
                    return _said(404, message="object not found")
                return self._let_in(request) or handler(request, **named)
        return _said(404, detail="Not found")

    def _user(self, request: Request) -> Answer:
        if "authorization" not in request.headers:
            return _said(401, detail="Authentication credentials were not provided.")
        return _json({"id": "0", "username": self.plan.user, "type": "User"})

    def _login(self, request: Request) -> Answer:
        try:
            body = dict(json.loads(request.body))
        except (ValueError, TypeError):
            return _json({"message": "Bad Request", "errinfo": {}}, status=400)
        who = body.get("identifier") or body.get("username")
        secret = body.get("secret") or body.get("password")
        known = (
            bool(who and secret) if self.plan.anybody else (who, secret) == (self.plan.user, self.plan.secret)
        )
        if not known:
            return _said(401, detail="Incorrect authentication credentials")
        if self.plan.two_factors:
            # A password isn't enough then; a token would be.
            detail = "Require secondary authentication on MFA enabled account"
            return _json({"detail": detail, "login_2fa_token": "second"}, status=401)
        token = self._new_token()
        named = "access_token" if request.path.startswith("/v2/auth") else "token"
        return _json({named: token})

    def _new_token(self) -> str:
        begins = int(self.now().timestamp())
        ends = begins + self.plan.life
        token = jwt({"sub": self.plan.user, "iat": begins, "exp": ends, "jti": len(self._tokens)})
        self._tokens[token] = self.now() + timedelta(seconds=self.plan.life)
        return token

    def _let_in(self, request: Request) -> Answer | None:
        """The 401 of a token that isn't good; who shows none is a stranger, and is let in as one."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not kind:
            return None
        if kind in {"Bearer", "JWT"} and self.now() < self._tokens.get(token, self.now()):
            return None
        return _said(401, message="access token is expired or invalid")

    def _sees(self, request: Request, repository: str) -> bool:
        known = "authorization" in request.headers and "read" in self.plan.rights
        return repository in self.world.repositories and (known or repository in self.plan.public)

    def _repositories(self, request: Request) -> Answer:
        self.used.add("read")
        part = request.asked("name") or ""
        names = [
            name for name in sorted(self.world.repositories) if part in name and self._sees(request, name)
        ]
        ordering = request.asked("ordering")
        if ordering not in {None, "name", "-name", "last_updated", "-last_updated", "pull_count"}:
            return _json({"fields": {"ordering": [ordering]}, "text": "Invalid ordering value"}, status=400)
        return self._page(request, [self._described(name) for name in names])

    def _described(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "namespace": self.namespace,
            "repository_type": "image",
            "status": 1,
            "is_private": name not in self.plan.public,
            "storage_size": 1,
            "description": "",
            "star_count": 0,
            "pull_count": 1,
            "last_updated": _time(max(self.world[name].tagged_at.values(), default=self.world.now)),
            "content_types": ["image"],
        }

    def _repository(self, request: Request, repository: str) -> Answer:
        self.used.add("read")
        if not self._sees(request, repository):
            return _json({"message": "object not found", "errinfo": {}}, status=404)
        if request.method == "DELETE":
            return self._delete_repository(request, repository)
        permissions = {"read": True, "write": "write" in self.plan.rights, "admin": self.plan.admin}
        rules = self._immutable(repository)
        # Rules may stand there without being in force.
        setting = {"enabled": rules is not None, "rules": [".*"] if rules is None else list(rules)}
        return _json(
            self._described(repository) | {"permissions": permissions, "immutable_tags_settings": setting}
        )

    def _tags(self, request: Request, repository: str) -> Answer:
        self.used.add("read")
        if not self._sees(request, repository):
            return _json({"message": "object not found", "errinfo": {}}, status=404)
        place = self.world[repository]
        # The last that changed comes first: a push moves everything behind it by one place.
        latest = sorted(place.tags, key=lambda tag: (place.tagged_at[tag], tag), reverse=True)
        if self.by_name:
            latest.sort()
        # What the older address takes, though nobody says so.
        match request.asked("ordering"):
            case "last_updated":
                latest.reverse()
            case "name" | "-name" as order:
                latest.sort(reverse=order == "-name")
        part = request.asked("name") or ""
        latest = [tag for tag in latest if part in tag]
        return self._page(request, [self.tag_of(repository, tag) for tag in latest])

    def _tag(self, request: Request, repository: str, tag: str) -> Answer:
        if not self._sees(request, repository) or tag not in self.world[repository].tags:
            return _said(404, message=f"tag '{tag}' not found", detail="Not found")
        if request.method == "GET":
            self.used.add("read")
            return _json(self.tag_of(repository, tag))
        if request.method != "DELETE":
            return _said(405, detail=f'Method "{request.method}" not allowed.')
        if refused := self._may_not_delete(request):
            return refused
        if self.refusal is not None:
            return _json({"message": self.refusal[1], "errinfo": {}}, status=self.refusal[0])
        if not self.plan.admin:
            return _said(403, detail="access to the resource is forbidden")
        rules = self._immutable(repository)
        if rules is not None and (not rules or any(re.search(rule, tag) for rule in rules)):
            return _said(403, message=f"tag {tag} is immutable")
        self.world[repository].untag(tag)
        return Answer(status=204)

    def _may_not_delete(self, request: Request) -> Answer | None:
        self.used.add("delete")
        if "delete" not in self.plan.rights or "authorization" not in request.headers:
            return _said(401, message="unauthorized")  # though listing works with the same token, or none
        return None

    def _delete_repository(self, request: Request, repository: str) -> Answer:
        if refused := self._may_not_delete(request):
            return refused
        if not self.plan.admin:
            return _said(403, detail="access to the resource is forbidden")
        del self.world.repositories[repository]
        return Answer(status=202)

    def _immutable(self, repository: str) -> tuple[str, ...] | None:
        """The rules of what can't be deleted; none at all: nothing is."""
        place = self.world[repository]
        locked = tuple(f"^{re.escape(tag)}$" for tag, digest in place.tags.items() if digest in place.locked)
        return self.plan.immutable if not locked else (self.plan.immutable or ()) + locked

    def _page(self, request: Request, entries: list[dict[str, Any]]) -> Answer:
        number, size = (
            max(1, int(asked)) if (asked := request.asked(key) or "").isdigit() else usual
            for key, usual in (("page", 1), ("page_size", 10))
        )
        size = min(size, self.plan.page)
        page = entries[(number - 1) * size : number * size]
        if number > 1 and not page:
            return _said(404, detail="Page not found")
        more = len(entries) > number * size
        target = re.sub(r"[?&]page=\d+", "", request.target)
        if self.plan.old:  # a page may be called by its older address
            target = target.replace(
                f"/namespaces/{self.namespace}/repositories", f"/repositories/{self.namespace}"
            )
        joint = "&" if "?" in target else "?"
        following = self._absolute(f"{target}{joint}page={number + 1}") if more else None
        return _json({"count": len(entries), "next": following, "previous": None, "results": page})

    def tag_of(self, repository: str, tag: str) -> dict[str, Any]:
        """All that is told of a tag."""
        document = self._tag_of(repository, tag) | self.tells
        return {key: value for key, value in document.items() if value is not UNSET}

    def _tag_of(self, repository: str, tag: str) -> dict[str, Any]:
        place = self.world[repository]
        held = place.manifests[place.tags[tag]]
        pushed = place.tagged_at[tag]
        platforms = [each for child in held.children if (each := place.manifests.get(child)) is not None]
        images = platforms if held.media_type in INDEX_TYPES else [held]
        pulled = max(filter(None, (held.pulled_at, self.pulled_tags.get((repository, tag)))), default=None)
        document = {
            "creator": 7,
            "id": 1,
            # Nested indexes and what isn't an image may be missing: it is no list of all children.
            "images": [self._image_of(each) for each in images if _is_told(each)],
            "last_updated": _time(pushed),
            "last_updater": 7,
            "last_updater_username": self.plan.user,
            "name": tag,
            "repository": 1,
            "full_size": self._layers(images[0]) if images else 0,
            "v2": True,
            "tag_status": "active",
            "tag_last_pulled": self._pull(pulled, tag),
            "tag_last_pushed": _time(pushed),
        }
        if self.plan.old:  # pushed before these were told
            return document
        kinds = {ImageType.HELM: "helm", ImageType.IMAGE: "image", ImageType.INDEX: "image"}
        return document | {
            "media_type": held.media_type,
            "content_type": kinds.get(held.type, "unrecognized"),
            "digest": held.digest,
        }

    def _image_of(self, held: Held) -> dict[str, Any]:
        platform = held.platform or {}
        return {
            "architecture": platform.get("architecture", "unknown"),
            "features": "",
            "variant": platform.get("variant"),
            "digest": held.digest,
            "os": platform.get("os", "unknown"),
            "os_features": "",
            "os_version": None,
            "size": self._layers(held),
            "status": "active",
            "last_pulled": self._pull(held.pulled_at, held.digest),
            "last_pushed": None if held.pushed_at is None else _time(held.pushed_at),
        }

    def _pull(self, moment: datetime | None, name: str) -> str | None:
        if moment is not None:
            return _time(moment)
        nevers = self.plan.nevers
        return nevers[(len(name + name[-1]) % len(nevers) - ord(name[-1]) % 2) % len(nevers)]

    def _layers(self, held: Held) -> int:
        """The layers as they are stored, without configuration and manifest."""
        return sum(len(self.world.blobs.get(blob, b"")) for blob in held.blobs[1:])


class DockerHub:
    """Both servers; ``address`` is the Hub API's."""

    def __init__(self, world: World | None = None, plan: Plan = TEAM, *, port: int = 0) -> None:
        self.plan = plan
        self.hub = HubServer(world, plan, port=port)
        rights = {"read": "pull", "write": "push", "delete": "delete"}
        access = Access(
            scheme=Scheme.BEARER,
            user=plan.user,
            password=plan.secret,
            rights=frozenset(rights[right] for right in plan.rights),
            anybody=plan.anybody,
            public=plan.anybody,
        )
        self.registry = HubRegistry(
            self.hub.world,
            namespace=NAMESPACE,
            access=access,
            pulls=plan.pulls,
            referrers=plan.referrers,
            page=None if plan.anybody else 2,
            now=self.hub.now,
        )
        self.address = self.hub.address
        self.registry_address = self.registry.address

    @property
    def world(self) -> World:
        return self.hub.world

    @property
    def requests(self) -> list[Request]:
        """Everything that either was asked; in order of each."""
        return [*self.hub.requests, *self.registry.requests]

    @property
    def used(self) -> set[str]:
        """The rights that were needed so far."""
        scopes = {"pull": "read", "push": "write", "delete": "delete"}
        return self.hub.used | {scopes[each] for each in self.registry.used}

    def asked(self, method: str, part: str = "") -> list[str]:
        """The targets of the requests so far with this method whose target contains ``part``."""
        return self.hub.asked(method, part) + self.registry.asked(method, part)

    def lead_to(self, address: str) -> None:
        """Where faults lead clients."""
        self.hub.foreign = self.registry.foreign = address

    def revoke(self) -> None:
        """No token of either kind is good any more."""
        self.hub.revoke()
        self.registry.guard.revoke()

    def settle(self) -> None:
        """Pulls are told hours later; these hours pass."""
        now = self.hub.now()
        for repository, reference in self.registry.pulls:
            place = self.world[repository]
            digest = place.tags.get(reference, reference)
            if reference in place.tags:
                self.hub.pulled_tags[repository, reference] = now
            if digest in place.manifests:
                place.manifests[digest] = msgspec.structs.replace(place.manifests[digest], pulled_at=now)
        self.registry.pulls.clear()

    def close(self) -> None:
        self.hub.close()
        self.registry.close()


@contextmanager
def serving(world: World | None = None, plan: Plan = TEAM, *, port: int = 0) -> Iterator[DockerHub]:
    """Both servers, until the end."""
    server = DockerHub(world, plan, port=port)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The servers that are started by hand: anybody's, all of it public, its pages as large as the real."""
    # A repository of Docker Hub is of two names, and the namespace is the first.
    names = {name: name.replace("/", "-") for name in world.repositories}
    if len(set(names.values())) < len(names):
        raise SystemExit("repositories have one name when each / in them is a -")
    renamed = " ".join(f"{old}={new}" for old, new in names.items() if old != new)
    world.repositories = {names[name]: place for name, place in world.repositories.items()}
    plan = msgspec.structs.replace(
        choose(PLANS, flavour, TEAM.name),
        anybody=True,
        public=frozenset(names.values()),
        page=100,
        nevers=(None,),
    )
    with serving(world, plan, port=port) as server:
        facts = {"registry_endpoint": server.registry_address, "namespace": NAMESPACE}
        facts |= {"username": plan.user, "token": plan.secret}
        yield Started(address=server.address, facts=facts | ({"renamed": renamed} if renamed else {}))


def jwt(claims: Mapping[str, Any]) -> str:
    """A JSON web token that nobody signed."""
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "unsigned"])


def _is_told(held: Held) -> bool:
    return held.media_type not in INDEX_TYPES and (held.platform is not None or held.subject is None)


def _time(moment: datetime) -> str:
    """Fractions have as many digits as it takes; none at all is seen too."""
    text = moment.replace(tzinfo=None).isoformat().rjust(19, "0")
    return f"{text.rstrip('0') if '.' in text else text}Z"


def _said(status: int, **body: str) -> Answer:
    return _json(body, status=status)


def _json(document: Mapping[str, Any], *, status: int = 200) -> Answer:
    return Answer(
        status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode()
    )
