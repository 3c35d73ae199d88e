"""Amazon ECR: one account's private registry in one region.

- Every manifest is listed: of all classes, tagged or not, with its push and its last pull.
- What is deleted is gone for good, so that there are no keepsakes; what is archived comes back without any.
- The account is that of the answers where no key says it; an answer of another is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self, cast

from janitor.core.image import Image
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import RequestCounts
from janitor.errors import Malformed, RegistryError
from janitor.net.aws import Aws
from janitor.net.grammar import check_name
from janitor.net.http import Http
from janitor.providers.ecr.answers import Repository
from janitor.providers.ecr.api import EcrApi, RepositoryGone
from janitor.providers.ecr.changing import Changes
from janitor.providers.ecr.checking import findings
from janitor.providers.ecr.reading import Reader
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
from janitor.providers.keys import EcrKeys, Keys

# AWS doesn't publish how often images may be described or deleted; users meet its limits when they describe
# many repositories at once.
REQUESTS_PER_SECOND = 10.0
# Manifests and addresses of blobs are given 2,000 and 3,000 times a second.
READS_PER_SECOND = 100.0


class Ecr(Registry):
    """One private registry."""

    provider: ClassVar[str] = "ecr"
    # Most repositories are described in a request or two: so many side by side keep the pace at the latency
    # of another continent.
    units_at_once: ClassVar[int] = 8
    changes_at_once: ClassVar[int] = 100  # BatchDeleteImage takes no more
    keys: ClassVar[type[Keys]] = EcrKeys

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        keys = cast("EcrKeys", spec.keys)
        self.abilities = keys.abilities
        self._spec = spec
        self._context = context
        self._region = keys.region
        self._account = keys.account or _account_of(keys.role_arn)
        self._own_hosts: tuple[str, ...] = ()
        self._was_asked = False
        self._caller = context.caller(spec, requests_per_second=REQUESTS_PER_SECOND)
        # What the policy says holds for all requests together.
        one_pace = spec.requests_per_second is not None
        self._reader = (
            self._caller if one_pace else context.caller(spec, requests_per_second=READS_PER_SECOND)
        )
        self._http = Http(environ=context.environ, concurrency=context.concurrency, clock=context.clock)
        self._aws = Aws(
            region=keys.region,
            profile=keys.profile,
            role_arn=keys.role_arn,
            external_id=keys.external_id,
            endpoint=keys.endpoint,
            environ=context.environ,
            concurrency=2 * context.concurrency,  # each of the two gates lets so many through
        )
        self._api = EcrApi(
            aws=self._aws, caller=self._caller, reader=self._reader, http=self._http, account=keys.account
        )
        self._changes = Changes(self._api, workers=context.concurrency)

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing and looks for no credentials yet."""
        return cls(spec, context)

    @property
    def hosts(self) -> tuple[str, ...]:  # type: ignore[override]  # the account may have to be asked for
        """All names under which the account's images are pulled; without the account, the aliases alone."""
        if self._account is None and not self._was_asked:
            self._was_asked = True
            with contextlib.suppress(RegistryError):
                self._meet(*self._api.some_repository())
        names = (*_hosts(self._account, self._region), *self._own_hosts, *self._spec.aliases)
        return tuple(dict.fromkeys(map(normal_host, names)))

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        callers = {id(caller): caller for caller in (self._caller, self._reader)}.values()
        counts = [caller.requests for caller in callers]
        return Traffic(
            requests=RequestCounts(
                list=sum(count.list for count in counts),
                delete=sum(count.delete for count in counts),
                other=sum(count.other for count in counts),
            ),
            retries=sum(caller.retries for caller in callers),
        )

    def close(self) -> None:
        """Give back the connections."""
        self._aws.close()
        self._http.close()

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        names = self._spec.repositories
        if names is None:
            repositories = self._api.repositories()
            self._meet(*repositories)
            names = tuple(repository.repository_name for repository in repositories)
        for name in sorted(set(map(check_name, names))):
            if only.wants(name):
                yield Unit(name=name)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        repository = unit.name
        try:
            details = self._api.images(repository)
        except RepositoryGone:
            details = ()
        for account in {detail.registry_id for detail in details}:
            self._belongs(account)
        recalled = self._context.memory.recall(self._spec.name, repository)
        reader = Reader(self._api, workers=self._context.concurrency, now=self._context.now())
        images, known = reader.read(repository, details, recalled, wanted)
        self._context.memory.keep(self._spec.name, repository, known)
        yield Listing(repository=repository, images=images)

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        there = self._changes.described(repository, [image.digest for image in images])
        return {
            image.digest: frozenset(there[image.digest].image_tags) if image.digest in there else None
            for image in images
        }

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        return self._changes.delete(repository, images)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        return self._changes.untag(repository, image, tags)

    def _archive(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        return self._changes.archive(repository, images)

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        return self._changes.restore(repository, keepsakes)

    def _check(self) -> Iterator[Finding]:
        return findings(
            self._api,
            identity=lambda: self._aws.identity(self._caller),
            repositories=self._spec.repositories,
            account=self._account,
            now=self._context.now,
        )

    def _meet(self, *repositories: Repository) -> None:
        """Learn whose registry this is, and by which name it calls itself."""
        for repository in repositories:
            self._belongs(repository.registry_id)
        named = (repository.repository_uri.partition("/")[0] for repository in repositories)
        self._own_hosts = tuple(dict.fromkeys(filter(None, named)))

    def _belongs(self, account: str) -> None:
        """Learn the account from the first answer; those after it must be of the same."""
        if self._account is None:
            self._account = account
        if account != self._account:
            raise Malformed(f"ECR answered for account {account}, not for {self._account}")


def _account_of(role_arn: str | None) -> str | None:
    """The account of a role: who takes it on asks that account's registry."""
    parts = (role_arn or "").split(":")
    return parts[4] if len(parts) > 5 and parts[4].isdecimal() else None  # noqa: PLR2004 - arn:aws:iam::ACCOUNT:role/NAME


def _hosts(account: str | None, region: str) -> tuple[str, ...]:
    """All hosts of a registry: those of one stack and two, each with FIPS too."""
    if account is None:
        return ()
    china = region.startswith("cn-")
    one = "amazonaws.com.cn" if china else "amazonaws.com"
    two = "on.amazonwebservices.com.cn" if china else "on.aws"
    return tuple(
        f"{account}.{service}.{region}.{suffix}"
        for service, suffix in (
            ("dkr.ecr", one),
            ("dkr-ecr", two),
            ("dkr.ecr-fips", one),
            ("dkr-ecr-fips", two),
        )
    )
