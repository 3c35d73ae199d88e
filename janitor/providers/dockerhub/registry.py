"""One namespace of Docker Hub: the Hub API for what is there and when, the registry for manifests.

- Untagged images are in no list. Seen are those that an index names, what refers to an image, and what an
  earlier run saw and the registry still has.
- What may not be deleted by the repository's immutable tags is locked; where a rule can't be read, every
  tagged image is.
- A repository that may not be seen is as one that isn't there: the Hub API doesn't tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self, cast

from janitor.core.image import Image
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.errors import Denied, Gone, Malformed, Stopped, Unreachable
from janitor.net.bearer import Authenticator
from janitor.net.distribution import Distribution
from janitor.net.dockerconfig import Credentials
from janitor.net.http import origin_of
from janitor.providers.dockerhub.answers import deletion_trouble, registry_trouble
from janitor.providers.dockerhub.checking import Looker
from janitor.providers.dockerhub.contents import Moved, Reader
from janitor.providers.dockerhub.hub import Hub, check_repository
from janitor.providers.dockerhub.immutable import ImmutableTags
from janitor.providers.dockerhub.meter import Meter
from janitor.providers.dockerhub.removal import Remover
from janitor.providers.dockerhub.session import Account, Session
from janitor.providers.dockerhub.tagging import Tagging
from janitor.providers.interface import (
    Context,
    Field,
    Finding,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Traffic,
    Unit,
)
from janitor.providers.keys import DockerHubKeys, Keys

HUB = "https://hub.docker.com"
REGISTRY = "https://registry-1.docker.io"
# Docker Hub stops addresses that send requests "in the order of thousands" a minute; this is 3,000. A listing
# asks once for each image, what refers to it.
REQUESTS_PER_SECOND = 50.0
RESTARTS = 2  # of a repository whose tags move while it is read


class DockerHub(Registry):
    """One namespace of Docker Hub."""

    provider: ClassVar[str] = "dockerhub"
    # Most repositories are small: a few side by side keep the requests in flight.
    units_at_once: ClassVar[int] = 4
    keys: ClassVar[type[Keys]] = DockerHubKeys

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        keys = cast("DockerHubKeys", spec.keys)
        self._keys = keys
        self._spec = spec
        self._context = context
        self._namespace = keys.namespace
        self._caller = context.caller(spec, requests_per_second=REQUESTS_PER_SECOND)
        self._http = Meter(environ=context.environ, concurrency=context.concurrency, clock=context.clock)
        endpoint = (keys.endpoint or HUB).rstrip("/").removesuffix("/v2")
        registry = keys.registry_endpoint or REGISTRY
        self._session = Session(
            endpoint=endpoint, http=self._http, caller=self._caller, find=self._account, context=context
        )
        self._hub = Hub(
            endpoint=endpoint, http=self._http, caller=self._caller, session=self._session, now=context.now
        )
        self._authenticator = Authenticator(
            endpoint=registry,
            http=self._http,
            caller=self._caller,
            find=self._credentials,
            clock=context.clock,
        )
        self._api = Distribution(
            endpoint=registry,
            http=self._http,
            caller=self._caller,
            authenticator=self._authenticator,
            failed=registry_trouble,
            delete_failed=deletion_trouble,
        )
        self._tags = Tagging(
            hub=self._hub, api=self._api, namespace=self._namespace, workers=context.concurrency
        )
        self._remover = Remover(
            hub=self._hub, api=self._api, tags=self._tags, namespace=self._namespace, context=context
        )
        names = (f"docker.io/{self._namespace}", f"{registry.rstrip('/')}/{self._namespace}", *spec.aliases)
        self.hosts = tuple(dict.fromkeys(map(normal_host, names)))
        self.abilities = keys.abilities

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing and reads no credentials yet."""
        keys = cast("DockerHubKeys", spec.keys)
        check_repository(keys.namespace)
        for endpoint in filter(None, (keys.endpoint, keys.registry_endpoint)):
            origin_of(endpoint)
            if "@" in endpoint or "?" in endpoint:
                message = f"an endpoint of {spec.name} must be an address without user, password or query"
                raise Malformed(f"{message}; credentials are keys of their own")
        return cls(spec, context)

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        return Traffic(requests=self._caller.requests, retries=self._caller.retries)

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def _account(self) -> Account:
        """Tell who asks; raises Denied where that isn't known: strangers see public repositories alone."""
        environ = self._context.environ
        username = self._keys.username or environ.get("DOCKERHUB_USERNAME")
        secret = self._keys.token or environ.get("DOCKERHUB_TOKEN")
        if not username or not secret:
            missing = "a user name" if secret else "an access token" if username else "credentials"
            message = f"Docker Hub ({self._spec.name}) needs {missing}: set DOCKERHUB_USERNAME and"
            raise Denied(f"{message} DOCKERHUB_TOKEN, or the keys `username` and `token`")
        way = "the policy file" if self._keys.token else "DOCKERHUB_TOKEN"
        return Account(username=username, secret=secret, way=way)

    def _credentials(self, repository: str) -> Credentials:  # noqa: ARG002 - one account for all
        account = self._account()
        return Credentials(username=account.username, password=account.secret)

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        names = self._spec.repositories
        if names is None:
            names = self._hub.repositories(self._namespace)
        for name in sorted(set(map(check_repository, names))):
            if only.wants(name):
                yield Unit(name=name)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        repository = unit.name
        try:
            info = self._hub.repository(self._namespace, repository)
        except Gone:
            yield Listing(repository=repository, images=())
            return
        images = self._read(repository, configs=bool(wanted & {Field.CREATED, Field.LABELS}))
        immutable = ImmutableTags(info.immutable_tags_settings)
        yield Listing(repository=repository, images=tuple(map(immutable.lock, images)))

    def _read(self, repository: str, *, configs: bool) -> tuple[Image, ...]:
        memory, name = self._context.memory, self._spec.name
        reader = Reader(
            self._api,
            self._full(repository),
            known=memory.recall(name, repository),
            configs=configs,
            workers=self._context.concurrency,
        )
        moved: Moved | None = None
        for _ in range(1 + RESTARTS):
            try:
                contents = reader.read(self._tags.listed(repository))
            except Moved as exc:
                moved = exc
            except (Unreachable, Stopped):
                # A pull limit or a deadline ended it: the next run goes on from what was read in this one.
                memory.keep(name, repository, reader.known)
                raise
            else:
                memory.keep(name, repository, contents.known)
                return contents.images
        raise Malformed(
            f"{self._full(repository)}: the registry doesn't hold what Docker Hub says that {moved} names;"
            " if it isn't being pushed to at the moment, delete that tag on its web page"
        )

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        return self._tags.now(repository, images)

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        return self._remover.delete(repository, images)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        return self._remover.untag(repository, image, tags)

    def _check(self) -> Iterator[Finding]:
        looker = Looker(
            namespace=self._namespace,
            named=self._spec.repositories,
            hub=self._hub,
            api=self._api,
            session=self._session,
            authenticator=self._authenticator,
            meter=self._http,
            context=self._context,
        )
        return looker.look()

    def _full(self, repository: str) -> str:
        return f"{self._namespace}/{repository}"
