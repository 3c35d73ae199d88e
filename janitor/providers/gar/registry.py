"""Google Artifact Registry: one repository of the service holds images of many names.

- A repository of the service is one unit; ``REPOSITORY/IMAGE`` is what policies call a repository.
- Only standard repositories of format Docker are looked at. Virtual ones own nothing; remote ones are caches,
  and are looked at where the policy names one.
- Where tags are immutable, tagged images are locked: the service deletes neither them nor their tags.
- A request for manifests goes to ``LOCATION-docker.pkg.dev``, or, where the endpoint is plaintext, to the
  address that the repository itself names, if that is on the same host, and else to nobody.
- Repositories called ``gcr.io``, ``eu.gcr.io`` and the like are pulled by these hosts too.
- No pull is recorded; a deletion is for good.

Sources: ``google.devtools.artifactregistry.v1`` and the documentation of Artifact Registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import OutcomeKind
from janitor.errors import Gone, Malformed, Refused, RegistryError, Unsupported
from janitor.net.caller import Purpose
from janitor.net.distribution import Distribution
from janitor.net.google import Account, check_endpoint
from janitor.net.http import Http, Response
from janitor.parallel import each
from janitor.providers.gar import checking
from janitor.providers.gar.deleting import Deleter
from janitor.providers.gar.gathering import Place, Rows, gather, read_manifests
from janitor.providers.gar.service import BATCH, Service
from janitor.providers.interface import (
    Context,
    Field,
    Finding,
    Level,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Traffic,
    Unit,
)
from janitor.providers.keys import GarKeys, Keys

# The numbers of the service's own enumerations.
_DOCKER = 1
_VIRTUAL, _REMOTE = 2, 3

# Which locations hold the repositories that stand for the hosts of Container Registry.
_LEGACY: Mapping[str, tuple[str, ...]] = {
    "us": ("gcr.io", "us.gcr.io"),
    "europe": ("eu.gcr.io",),
    "asia": ("asia.gcr.io",),
}


class Gar(Registry):
    """The repositories of one project in one location."""

    provider: ClassVar[str] = "gar"
    changes_at_once: ClassVar[int] = BATCH
    referrers_first: ClassVar[bool] = True
    keys: ClassVar[type[Keys]] = GarKeys

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        self._spec = spec
        self._context = context
        self._keys = cast("GarKeys", spec.keys)
        self.abilities = self._keys.abilities
        self._plain = (self._keys.endpoint or "").startswith("http://")
        self._caller = context.caller(spec)
        self._http = Http(environ=context.environ, concurrency=context.concurrency, clock=context.clock)
        self._account = Account(self._http, anonymous=self._plain)
        self._service = Service(
            project=self._keys.project,
            location=self._keys.location,
            endpoint=self._keys.endpoint,
            environ=context.environ,
            account=self._account,
            caller=self._caller,
        )
        # As it stands in addresses: of a project that belongs to a domain, the domain is a folder.
        self._project = self._keys.project.replace(":", "/")
        self._host = f"{self._keys.location}-docker.pkg.dev"
        self._only: RepositoryFilter | None = None
        self.hosts = tuple(
            dict.fromkeys(
                map(
                    normal_host,
                    (
                        f"{self._host}/{self._project}",
                        *(f"{host}/{self._project}" for host in self._legacy()),
                        *spec.aliases,
                    ),
                )
            )
        )

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing and looks for no credentials yet."""
        keys = cast("GarKeys", spec.keys)
        if keys.endpoint is not None:
            check_endpoint(spec.name, keys.endpoint)
        for name in spec.repositories or ():
            _split(name)
        return cls(spec, context)

    def other_names(self, repository: str) -> tuple[str, ...]:
        """Tell the name by which the hosts of Container Registry serve it, where one does."""
        host, _, image = repository.partition("/")
        return (f"{host}/{self._project}/{image}",) if host in self._legacy() else ()

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        return Traffic(requests=self._caller.requests, retries=self._caller.retries)

    def close(self) -> None:
        """Give back the connections."""
        self._service.close()
        self._http.close()

    def _legacy(self) -> tuple[str, ...]:
        hosts = _LEGACY.get(self._keys.location, ())
        return tuple(host for host in hosts if self._keys.repository in {None, host})

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        self._only = only
        named = self._named()
        if named is None:
            named = {
                _short(raw.name)
                for raw in self._service.repositories()
                if raw.format_ == _DOCKER and raw.mode not in {_VIRTUAL, _REMOTE}
            }
        for name in sorted(named):
            if self._may_hold(name):
                yield Unit(name=name, many=True)

    def _named(self) -> set[str] | None:
        """The repositories that the policy names; ``None``: all that there are."""
        if self._spec.repositories is not None:
            named = {_split(name)[0] for name in self._spec.repositories}
            return named if self._keys.repository is None else named & {self._keys.repository}
        return None if self._keys.repository is None else {self._keys.repository}

    def _may_hold(self, repository: str) -> bool:
        only = self._only
        if only is None:
            return True
        narrowed = only.narrowed is None or _may_select(only.narrowed, repository)
        return narrowed and any(_may_select(patterns, repository) for patterns in only.covered)

    def _wants(self, repository: str) -> bool:
        if self._spec.repositories is not None and repository not in self._spec.repositories:
            return False
        return self._only is None or self._only.wants(repository)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        if not unit.many:  # one image's name; the service lists it with all the others
            group = Unit(name=_split(unit.name)[0], many=True)
            yield from (one for one in self._list(group, wanted) if one.repository == unit.name)
            return
        try:
            raw = self._service.repository(unit.name)
        except Gone:
            if self._named() is not None:
                raise
            return
        self._check_kind(raw)
        place = Place(
            repository=unit.name, prefixes=self._prefixes(raw), immutable=raw.docker_config.immutable_tags
        )
        api = self._registry_of(raw)
        found = gather(
            place, self._service.docker_images(unit.name), lambda name: self._wants(f"{unit.name}/{name}")
        )
        for name in sorted(found):
            all_tags = partial(self._service.all_tags, unit.name, name)
            rows = Rows(place, found.pop(name), wanted, all_tags)
            yield Listing(
                repository=f"{unit.name}/{name}",
                images=tuple(rows.images(self._read(api, unit.name, name, rows, wanted))),
            )

    def _check_kind(self, raw: Any) -> None:
        name = _short(raw.name)
        if raw.format_ != _DOCKER:
            raise Unsupported(f"{name} holds no container images: it is a repository of another format")
        if raw.mode == _VIRTUAL:
            raise Unsupported(f"{name} is virtual and holds nothing; name the repositories behind it")

    def _read(
        self, api: Distribution | None, repository: str, name: str, rows: Rows, wanted: frozenset[Field]
    ) -> Mapping[str, Known]:
        """What is known of manifests, after what is missing was read; kept for the next run."""
        full = f"{repository}/{name}"
        recalled = self._context.memory.recall(self._spec.name, full)
        known = dict(recalled)
        unread = rows.unread(known)
        if unread and api is not None:
            known |= read_manifests(
                api,
                f"{self._project}/{full}",
                unread,
                known,
                configs=bool(wanted & {Field.CREATED, Field.LABELS}),
                workers=self._context.concurrency,
            )
        known = rows.kept(known)
        if known or recalled:
            self._context.memory.keep(self._spec.name, full, known)
        return known

    def _prefixes(self, raw: Any) -> tuple[str, ...]:
        name = _short(raw.name)
        told = f"{raw.registry_uri.rstrip('/')}/" if raw.registry_uri else ""
        others = (f"{self._host}/{self._project}/{name}/", f"{name}/{self._project}/")
        return tuple(dict.fromkeys(prefix for prefix in (told, *others) if prefix))

    def _registry_of(self, raw: Any) -> Distribution | None:
        """Where the manifests of a repository are read; ``None`` where nobody may be asked."""
        address = self._registry_address(raw)
        if address is None:
            return None
        return Distribution(
            endpoint=address, http=self._http, caller=self._caller, authenticator=self._account
        )

    def _registry_address(self, raw: Any) -> str | None:
        if not self._plain:
            return f"https://{self._host}"
        host = raw.registry_uri.partition("/")[0]
        here = urlsplit(self._keys.endpoint or "").hostname
        return f"http://{host}" if host and urlsplit(f"//{host}").hostname == here else None

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        place, name = _split(repository)
        digests = [image.digest for image in images]
        answers = each(
            lambda digest: self._service.tags(place, name, digest),
            digests,
            workers=self._context.concurrency,
        )
        return dict(zip(digests, answers, strict=True))

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        place, name = _split(repository)
        return Deleter(self._service, place, name, self._context).delete(images)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        place, name = _split(repository)
        now = self._service.tags(place, name, image.digest)
        if now is None:
            return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail="it is gone already")
        if now & set(tags) and not now - set(tags):
            detail = "it has no other tag by now, and keeps those that it has"
            return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
        for tag in tags:
            found = self._service.points_to(place, name, tag)
            if found is None:
                continue
            if found != image.digest:
                detail = f"{tag} points to {found} by now"
                return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
            try:
                self._service.delete_tag(place, name, tag)
            except Refused as exc:
                return Result(digest=image.digest, outcome=OutcomeKind.REFUSED, detail=exc.message)
        return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)

    def _check(self) -> Iterator[Finding]:
        message = self._caller.call(self._account.described, purpose=Purpose.OTHER)
        yield Finding(about="credentials", level=Level.OK, message=message)
        found = False
        for raw in self._looked_at():
            name = _short(raw.name)
            yield from checking.habits(name, raw)
            if raw.mode in {_VIRTUAL, _REMOTE} and self._keys.repository is None:
                continue
            if not found:
                yield from self._check_clock(raw)
            found = True
            next(self._service.docker_images(name, page_size=1), None)
            yield from checking.rights(name, self._service.held(name, checking.TESTED))
        if not found:
            message = f"there is no Docker repository in {self._service.parent}"
            yield Finding(
                about="reading", level=Level.WARNING, message=message, advice="look at project and location"
            )
        yield from checking.ALWAYS

    def _looked_at(self) -> list[Any]:
        named = self._named()
        if named is not None:
            return [self._service.repository(name) for name in sorted(named)]
        docker = [raw for raw in self._service.repositories() if raw.format_ == _DOCKER]
        return sorted(docker, key=lambda raw: str(raw.name))

    def _check_clock(self, raw: Any) -> Iterator[Finding]:
        address = self._registry_address(raw)
        if address is None:
            return
        try:
            answer: Response = self._caller.call(
                lambda: self._http.request("GET", f"{address}/v2/"), purpose=Purpose.OTHER
            )
        except RegistryError as exc:
            yield Finding(
                about="reading",
                level=Level.ERROR,
                message=f"the registry itself can't be reached: {exc.message}",
                advice="manifests of indexes and signatures are read there",
            )
            return
        yield from checking.clock(answer.header("Date"), self._context.now())


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _split(repository: str) -> tuple[str, str]:
    """``REPOSITORY/IMAGE`` -> both; raises Malformed."""
    place, slash, name = repository.partition("/")
    if not (place and slash and name):
        raise Malformed(f"{repository} is no REPOSITORY/IMAGE, as repositories are called here")
    return place, name


def _may_select(patterns: PatternList, repository: str) -> bool:
    """Whether something below the repository may be selected: only what surely can't be is passed over."""
    return any(_may_match(each.text, repository) for each in patterns.patterns if not each.negated)


def _may_match(text: str, repository: str) -> bool:
    if text.startswith("re:") or any(sign in text for sign in "{[\\"):
        return True
    first, slash, _ = text.partition("/")
    if "**" in first:
        return True
    return bool(slash) and PatternList.of((first,), PatternKind.REPOSITORY).selects(repository)
