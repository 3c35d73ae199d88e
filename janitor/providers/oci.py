"""Any registry that speaks the OCI distribution API: distribution, Harbor, zot, Quay, GitLab, Gitea and more.

What the API can't say is taken as unknown: it has no push times and no pull times, and no endpoint lists
untagged manifests. They are reached from the tags: the platforms of indexes, what refers to an image by the
referrers API or the fallback tag, and what an earlier run saw and the registry still has.

- A child that the registry doesn't hold is no failure. Manifests of schema 1 are listed as locked.
- What was read of a manifest is never read again: a second run asks for tags, and where they point to.
- A DELETE by digest takes every tag along, so :meth:`Oci.tags_now` asks where each tag points to now.
- What holds an image goes before it; where the holder stays, so does the image.
- A DELETE by tag is sent only where the policy says that the registry then keeps the manifest, and it is
  looked at afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, cast
from urllib.parse import urlsplit

from janitor.core.image import Image
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import OutcomeKind
from janitor.errors import Gone, Malformed, Refused, RegistryError, Unsupported
from janitor.net.bearer import Authenticator
from janitor.net.distribution import Distribution
from janitor.net.dockerconfig import Credentials, DockerConfig
from janitor.net.grammar import check_name
from janitor.net.http import Http, origin_of
from janitor.net.proxies import DEFAULT_PORTS
from janitor.net.reading import read_repository
from janitor.parallel import each
from janitor.providers.deleting import in_levels
from janitor.providers.interface import (
    Context,
    Field,
    Keepsake,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Traffic,
    Unit,
    in_order_of_return,
)
from janitor.providers.keys import Keys, OciKeys


class Oci(Registry):
    """One registry by the distribution API."""

    provider: ClassVar[str] = "oci"
    # Most repositories are small: a few side by side keep the requests in flight.
    units_at_once: ClassVar[int] = 4
    keys: ClassVar[type[Keys]] = OciKeys

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        keys = cast("OciKeys", spec.keys)
        self._spec = spec
        self._context = context
        self._caller = context.caller(spec)
        self._http = Http(
            environ=context.environ,
            ca_file=None if keys.ca_file is None else Path(keys.ca_file),
            concurrency=context.concurrency,
            clock=context.clock,
        )
        self._stored = DockerConfig(context.environ)
        self._configured = _configured(keys)
        self._host = _host(keys.endpoint)
        authenticator = Authenticator(
            endpoint=keys.endpoint,
            http=self._http,
            caller=self._caller,
            find=self._find,
            clock=context.clock,
        )
        self._api = Distribution(
            endpoint=keys.endpoint, http=self._http, caller=self._caller, authenticator=authenticator
        )
        self.hosts = _hosts(keys.endpoint, spec.aliases)
        self.abilities = keys.abilities

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing and reads no credentials yet."""
        endpoint = cast("OciKeys", spec.keys).endpoint
        if "@" in urlsplit(endpoint).netloc or urlsplit(endpoint).query:
            message = f"the endpoint of {spec.name} must be scheme and host, without user, password or query"
            raise Malformed(f"{message}; credentials are keys of their own")
        return cls(spec, context)

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        return Traffic(requests=self._caller.requests, retries=self._caller.retries)

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def _find(self, repository: str) -> Credentials | None:
        return self._configured or self._stored.find(self._host, repository)

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        names = self._spec.repositories
        if names is None:
            names = self._catalogue()
        for name in sorted(set(map(check_name, names))):
            if only.wants(name):
                yield Unit(name=name)

    def _catalogue(self) -> tuple[str, ...]:
        try:
            return self._api.catalogue()
        except (Gone, Unsupported) as exc:
            message = f"{self._host} has no catalogue of its repositories; name them under `repositories`"
            raise Unsupported(message) from exc

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        repository = unit.name
        contents = read_repository(
            self._api,
            repository,
            known=self._context.memory.recall(self._spec.name, repository),
            configs=bool(wanted & {Field.CREATED, Field.LABELS}),
            workers=self._context.concurrency,
        )
        self._context.memory.keep(self._spec.name, repository, contents.known)
        yield Listing(repository=repository, images=contents.images)

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        """Ask where every tag points to: one that moved onto an image since would go with it."""
        tags = self._api.tags(repository)
        now: dict[str, set[str]] = {image.digest: set() for image in images}
        heads = each(lambda tag: self._points_to(repository, tag), tags, workers=self._context.concurrency)
        for tag, digest in zip(tags, heads, strict=True):
            if digest in now:
                now[digest].add(tag)
        untagged = [digest for digest, found in now.items() if not found]
        there = each(
            lambda digest: self._api.exists(repository, digest), untagged, workers=self._context.concurrency
        )
        gone = {digest for digest, exists in zip(untagged, there, strict=True) if not exists}
        return {digest: None if digest in gone else frozenset(found) for digest, found in now.items()}

    def _points_to(self, repository: str, tag: str) -> str | None:
        """Tell the digest that a tag names now; ``None`` where the tag is gone."""
        try:
            return self._api.head(repository, tag).digest or self._api.manifest(repository, tag).digest
        except Gone:
            return None

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        return in_levels(
            images,
            lambda image: self._api.delete(repository, image.digest),
            workers=self._context.concurrency,
        )

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        read = each(
            lambda image: self._keepsake(repository, image), images, workers=self._context.concurrency
        )
        return {kept.digest: kept for kept in read if kept is not None}

    def _keepsake(self, repository: str, image: Image) -> Keepsake | None:
        try:
            body = self._api.manifest(repository, image.digest)
        except Gone:
            return None
        return Keepsake(
            digest=image.digest, tags=image.tags, media_type=body.media_type, manifest=body.content
        )

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        """Push the manifests again, what is named before what names it; their blobs must be there still."""
        for level in in_order_of_return(keepsakes):
            yield from each(
                lambda kept: self._restore_one(repository, kept), level, workers=self._context.concurrency
            )

    def _restore_one(self, repository: str, kept: Keepsake) -> Result:
        if kept.manifest is None or kept.media_type is None:
            why = "its manifest was not kept"
            return Result(digest=kept.digest, outcome=OutcomeKind.REFUSED, detail=why)
        try:
            self._api.put(repository, kept.digest, kept.manifest, kept.media_type)
            taken = [
                tag
                for tag in kept.tags
                if not self._place(repository, tag, kept.digest, kept.manifest, kept.media_type)
            ]
        except Gone as exc:
            return Result(digest=kept.digest, outcome=OutcomeKind.REFUSED, detail=exc.message)
        except RegistryError as exc:
            return Result(digest=kept.digest, outcome=OutcomeKind.FAILED, detail=exc.message)
        detail = f"without {', '.join(taken)}: on another image by now" if taken else None
        return Result(digest=kept.digest, outcome=OutcomeKind.RESTORED, detail=detail)

    def _place(self, repository: str, tag: str, digest: str, manifest: bytes, media_type: str) -> bool:
        """Put a tag back; false where it is on another image by now."""
        found = self._points_to(repository, tag)
        if found is None:
            self._api.put(repository, tag, manifest, media_type)
        return found in (None, digest)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        if not self.abilities.untags:
            raise Unsupported(
                f"{self._spec.name} isn't known to keep an image when one of its tags is deleted;"
                " if it does, say `deletes_tags: true`"
            )
        for tag in tags:
            found = self._points_to(repository, tag)
            if found is None:
                continue
            if found != image.digest:
                detail = f"{tag} points to {found} by now"
                return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
            try:
                self._api.delete_tag(repository, tag)
            except Refused as exc:
                return Result(digest=image.digest, outcome=OutcomeKind.REFUSED, detail=exc.message)
            if not self._api.exists(repository, image.digest):
                detail = (
                    f"DELETING THE TAG {tag} DELETED THE IMAGE: this registry doesn't keep the manifest;"
                    " set `deletes_tags: false`, and push the image again if it is needed"
                )
                return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
        return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)


def _configured(keys: OciKeys) -> Credentials | None:
    secret = keys.password or keys.token
    if keys.username and secret:
        return Credentials(username=keys.username, password=secret)
    return Credentials(registry_token=keys.token) if keys.token else None


def _host(endpoint: str) -> str:
    """Tell the ``host[:port]`` under which docker keeps the credentials: the port as it is written."""
    return endpoint.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()


def _hosts(endpoint: str, aliases: Sequence[str]) -> tuple[str, ...]:
    host = _host(endpoint)
    origin = origin_of(endpoint)
    names = [f"https://{host}"]
    if origin.port == DEFAULT_PORTS[origin.scheme]:
        names += [f"https://{origin.host}", f"https://{origin.host}:{origin.port}"]
    return tuple(dict.fromkeys(map(normal_host, (*names, *aliases))))
