"""GitHub Container Registry: two services; the API deletes, the registry tells what manifests are.

The API lists a package's versions, one a digest, with their tags and the time of their push. What they hold
is read from the registry (:mod:`janitor.providers.ghcr.contents`): children and referrers are versions of
their own without tags, and GitHub deletes those of a living index without a word.

- What was deleted stays listed for a while: a version that this run deleted is looked at before it is
  believed.
- Versions are deleted one after the other, as GitHub asks, what holds others first; where the holder stays,
  so do they. A lack of rights ends it: the next would be told the same.
- There is no taking off of tags. What is deleted can be restored for 30 days, by its version's id, and comes
  with its tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self, cast
from urllib.parse import urlsplit

import msgspec

from janitor.core.image import Image
from janitor.core.known import Known
from janitor.core.manifest import scheme_subject
from janitor.core.order import holders, levels
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import OutcomeKind, RequestCounts
from janitor.errors import Denied, Gone, Malformed, Refused, RegistryError, Stopped
from janitor.net.bearer import Authenticator
from janitor.net.distribution import Distribution
from janitor.net.dockerconfig import Credentials
from janitor.net.github import PAGE, REQUESTS_PER_SECOND, GitHub
from janitor.net.grammar import check_name
from janitor.net.http import Http
from janitor.net.packages import Packages, Version
from janitor.net.reading import image_of
from janitor.parallel import each
from janitor.providers.ghcr.checking import Check
from janitor.providers.ghcr.contents import Manifests
from janitor.providers.interface import (
    Context,
    Field,
    Finding,
    Keepsake,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Traffic,
    Unit,
)
from janitor.providers.keys import GhcrKeys, Keys

_API = "https://api.github.com"
_HOST = "ghcr.io"
# An account of an enterprise has an underscore in its name.
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_REMEMBERED = (
    8  # packages whose ids are kept: those that are listed side by side, and the one that is acted on
)
_USER = "token"  # the registry looks at the password alone


class Ghcr(Registry):
    """The container packages of one owner."""

    provider: ClassVar[str] = "ghcr"
    # Most packages are small; the API's quota is what a listing waits for.
    units_at_once: ClassVar[int] = 4
    keys: ClassVar[type[Keys]] = GhcrKeys

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        keys = cast("GhcrKeys", spec.keys)
        self._spec = spec
        self._context = context
        self._owner = keys.owner
        self._token = (keys.token or context.environ.get("GITHUB_TOKEN", "")).strip()
        self._source = "the policy file" if keys.token else "GITHUB_TOKEN"
        self._http = Http(environ=context.environ, concurrency=context.concurrency, clock=context.clock)
        # Each of the two has limits of its own, and one that is throttled is no reason to wait for the other.
        self._api_caller = context.caller(spec, requests_per_second=REQUESTS_PER_SECOND)
        self._registry_caller = context.caller(spec)
        self._github = GitHub(
            endpoint=keys.endpoint or _API,
            token=self._token,
            http=self._http,
            caller=self._api_caller,
            now=context.now,
        )
        self._packages = Packages(self._github, keys.owner)
        endpoint = keys.registry_endpoint or f"https://{_HOST}"
        self._manifests = Distribution(
            endpoint=endpoint,
            http=self._http,
            caller=self._registry_caller,
            authenticator=Authenticator(
                endpoint=endpoint,
                http=self._http,
                caller=self._registry_caller,
                find=self._credentials,
                clock=context.clock,
            ),
        )
        self._versions: dict[str, dict[str, int]] = {}  # ids by digest, of the packages listed last
        self._deleted: set[int] = set()
        names = (f"{host}/{keys.owner.lower()}" for host in (_HOST, urlsplit(endpoint).netloc))
        self.hosts = tuple(dict.fromkeys(map(normal_host, (*names, *spec.aliases))))
        self.abilities = keys.abilities

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing yet."""
        keys = cast("GhcrKeys", spec.keys)
        if not _LOGIN.fullmatch(keys.owner):
            raise Malformed(f"the owner of {spec.name} is an organisation or a user, not {keys.owner!r}")
        for endpoint in filter(None, (keys.endpoint, keys.registry_endpoint)):
            parts = urlsplit(endpoint)
            if "@" in parts.netloc or parts.query:
                message = f"the endpoints of {spec.name} must be without user, password or query"
                raise Malformed(f"{message}; `token` is a key of its own")
        if keys.endpoint and keys.endpoint.rstrip("/") != _API and not keys.registry_endpoint:
            message = f"{spec.name} has an `endpoint` of its own, so it needs its `registry_endpoint`"
            raise Malformed(f"{message} (https://containers.HOST): its token isn't for {_HOST}")
        return cls(spec, context)

    def traffic(self) -> Traffic:
        """Count what was asked of both services so far."""
        one, other = self._api_caller, self._registry_caller
        counts = Counter(msgspec.structs.asdict(one.requests))
        counts.update(msgspec.structs.asdict(other.requests))
        return Traffic(requests=RequestCounts(**counts), retries=one.retries + other.retries)

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def _credentials(self, repository: str) -> Credentials | None:  # noqa: ARG002 - one token for all
        return Credentials(username=_USER, password=self._token) if self._token else None

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        names = self._spec.repositories
        if names is None:
            names = self._packages.names()
        for name in sorted(set(map(check_name, names))):
            if only.wants(name):
                yield Unit(name=name)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        name = unit.name
        try:
            versions = self._current(name)
        except Gone as exc:
            if self._spec.repositories is not None:
                message = f"{self._owner} has no package {name}, or the token may not see it"
                raise Gone(f"{message} ({exc})") from exc
            yield Listing(repository=name, images=())  # it was there when packages were listed
            return
        known = self._read_manifests(name, versions, wanted)
        self._context.memory.keep(self._spec.name, name, known)
        yield Listing(repository=name, images=_images(versions, known))

    def _read_manifests(
        self, name: str, versions: Sequence[Version], wanted: frozenset[Field]
    ) -> dict[str, Known]:
        ids = {version.name: version.id for version in versions}
        return Manifests(
            self._manifests,
            f"{self._owner.lower()}/{name}",
            known=self._context.memory.recall(self._spec.name, name),
            deep=bool(wanted & {Field.CREATED, Field.LABELS, Field.SIZE}),
            configs=bool(wanted & {Field.CREATED, Field.LABELS}),
            gone=lambda digest: not self._packages.exists(name, ids[digest]),
            workers=self._context.concurrency,
        ).read(
            [version.name for version in versions if version.tags],
            [version.name for version in versions if not version.tags],
        )

    def _current(self, name: str) -> tuple[Version, ...]:
        """Read the versions of a package, without those that are listed though they are deleted."""
        versions = self._packages.versions(name)
        times = Counter(version.name for version in versions)
        # A digest that was pushed again has a new version, beside the old one as long as that is shown.
        doubtful = [version for version in versions if version.id in self._deleted or times[version.name] > 1]
        there = each(
            lambda version: self._packages.exists(name, version.id),
            doubtful,
            workers=self._context.concurrency,
        )
        gone = {version.id for version, exists in zip(doubtful, there, strict=True) if not exists}
        current = tuple(version for version in versions if version.id not in gone)
        ids = {version.name: version.id for version in current}
        if len(ids) < len(current):
            raise Malformed(f"GitHub lists a digest of {name} as two versions")
        self._versions.pop(name, None)
        self._versions[name] = ids
        for oldest in list(self._versions)[:-_REMEMBERED]:
            self._versions.pop(oldest, None)
        return current

    def _ids(self, name: str, digests: Sequence[str]) -> Mapping[str, int]:
        """Tell the ids of these digests, as far as there are; lists the package where one is unknown."""
        ids = self._versions.get(name)
        if ids is None or not ids.keys() >= set(digests):
            try:
                self._current(name)
            except Gone:
                self._versions.pop(name, None)
            ids = self._versions.get(name, {})
        return ids

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        """Read the tags of each version by itself, or of all together where that asks less."""
        digests = list(dict.fromkeys(image.digest for image in images))
        ids = self._versions.get(repository, {})
        if ids.keys() >= set(digests) and len(digests) <= len(ids) // PAGE + 1:
            tags = each(
                lambda digest: self._tags_of(repository, digest, ids[digest]),
                digests,
                workers=self._context.concurrency,
            )
            return dict(zip(digests, tags, strict=True))
        try:
            current = self._current(repository)
        except Gone:
            current = ()
        now = {version.name: frozenset(version.tags) for version in current}
        return {digest: now.get(digest) for digest in digests}

    def _tags_of(self, repository: str, digest: str, version: int) -> frozenset[str] | None:
        try:
            found = self._packages.version(repository, version)
        except Gone:
            return None
        if found.name != digest:
            raise Malformed(f"version {version} of {repository} is {found.name} now, and was {digest}")
        return frozenset(found.tags)

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        ids = self._ids(repository, [image.digest for image in images])
        held_by = holders(images)
        left: set[str] = set()
        for image in (image for level in levels(images) for image in level):
            if left.isdisjoint(held_by[image.digest]):
                result = self._delete_one(repository, image.digest, ids.get(image.digest))
            else:
                detail = "it stays, because an index that holds it could not be deleted"
                result = Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
            if result.outcome is not OutcomeKind.DELETED:
                left.add(image.digest)
            yield result

    def _delete_one(self, repository: str, digest: str, version: int | None) -> Result:
        """Delete one version; raises what says that the next would not go either."""
        if version is None:
            return Result(digest=digest, outcome=OutcomeKind.DELETED, detail="was gone already")
        try:
            detail = self._packages.delete(repository, version, f"{repository}@{digest}")
        except (Denied, Stopped):
            raise
        except RegistryError as exc:
            return _unsuccessful(digest, exc)
        self._deleted.add(version)
        return Result(digest=digest, outcome=OutcomeKind.DELETED, detail=detail)

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        ids = self._ids(repository, [image.digest for image in images])
        return {
            image.digest: Keepsake(
                digest=image.digest,
                tags=image.tags,
                media_type=image.media_type,
                handle=str(ids[image.digest]),
            )
            for image in images
            if image.digest in ids
        }

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        for kept in sorted(keepsakes, key=_turn):
            if kept.handle is None or not (kept.handle.isascii() and kept.handle.isdigit()):
                detail = "the id of its version was not kept, so GitHub can't be asked for it"
                yield Result(digest=kept.digest, outcome=OutcomeKind.REFUSED, detail=detail)
                continue
            yield self._restore_one(repository, kept, int(kept.handle))

    def _restore_one(self, repository: str, kept: Keepsake, version: int) -> Result:
        try:
            self._packages.restore(repository, version, f"{repository}@{kept.digest}")
        except (Denied, Stopped):
            raise
        except RegistryError as exc:
            return _unsuccessful(kept.digest, exc)
        try:
            detail = self._lost_tags(repository, kept, version)
        except RegistryError as exc:
            detail = f"its tags could not be read again ({exc})"
        return Result(digest=kept.digest, outcome=OutcomeKind.RESTORED, detail=detail)

    def _lost_tags(self, repository: str, kept: Keepsake, version: int) -> str | None:
        """Say which of its tags did not come back, and where they are."""
        tags = self._tags_of(repository, kept.digest, version)
        if tags is None:
            return "GitHub took it back, but doesn't show it yet"
        lost = [tag for tag in kept.tags if tag not in tags]
        if not lost:
            return None
        places = {
            tag: version.name for version in self._current(repository) for tag in version.tags if tag in lost
        }
        told = (
            f"{tag} is on {places[tag]} by now and stays there"
            if tag in places
            else f"{tag} did not come back"
            for tag in lost
        )
        return ", ".join(told)

    def _check(self) -> Iterator[Finding]:
        return Check(
            github=self._github,
            packages=self._packages,
            manifests=self._manifests,
            owner=self._owner,
            named=self._spec.repositories,
            token=self._token,
            source=self._source,
            now=self._context.now,
        ).findings()


def _images(versions: Sequence[Version], known: Mapping[str, Known]) -> tuple[Image, ...]:
    return tuple(
        msgspec.structs.replace(
            image_of(version.name, known[version.name], version.tags),
            pushed_at=version.created_at,
            changed_at=version.updated_at,
        )
        for version in versions
        if version.name in known
    )


def _unsuccessful(digest: str, error: RegistryError) -> Result:
    outcome = OutcomeKind.REFUSED if isinstance(error, Refused) else OutcomeKind.FAILED
    return Result(digest=digest, outcome=outcome, detail=error.message)


def _turn(kept: Keepsake) -> int:
    """Tell what comes back first: platforms without a tag, then what has one, then signatures by theirs."""
    if not kept.tags:
        return 0
    return 2 if any(map(scheme_subject, kept.tags)) else 1
