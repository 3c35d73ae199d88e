"""Azure Container Registry, by its own calls and the distribution API: what is there, and its deletion.

- Nothing tells when an image was pulled. Times of manifests and of tags are the registry's own.
- A lock on the image, on one of its tags or on the repository keeps it; the registry refuses, for good.
- Deleting a manifest takes its tags along, and by the registry's own doing all that refers to it: what has a
  tag of its own, a lock, or an index that holds it would go unasked, so its subject stays then.
- Deleting an index leaves its platforms, and a platform is deleted from under its index without a word: what
  holds an image goes before it; where the holder stays, so does the image.
- Whether soft delete is on is known only by asking. Where it is, what went is brought back by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self, cast

from janitor.core.image import Image
from janitor.core.manifest import scheme_subject
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import OutcomeKind
from janitor.errors import (
    Denied,
    Gone,
    Malformed,
    Refused,
    RegistryError,
    Stopped,
    Unreachable,
    Unsupported,
)
from janitor.net.answers import Unsaid
from janitor.net.asking import Asking
from janitor.net.distribution import Distribution
from janitor.net.grammar import check_name
from janitor.net.http import Http
from janitor.parallel import each
from janitor.providers.acr.answers import content_trouble
from janitor.providers.acr.api import Api, Moved
from janitor.providers.acr.contents import read_contents
from janitor.providers.acr.entra import Entra
from janitor.providers.acr.look import look
from janitor.providers.acr.proof import proof_of
from janitor.providers.acr.restoring import restore
from janitor.providers.acr.tokens import Tokens
from janitor.providers.acr.tokenservice import TokenService
from janitor.providers.deleting import in_levels
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
from janitor.providers.keys import AcrKeys, Keys

# More than 32 at once the service advises against, and manifests were seen in a bad state after fewer.
DELETIONS_AT_ONCE = 8


class Acr(Registry):
    """One Azure container registry."""

    provider: ClassVar[str] = "acr"
    units_at_once: ClassVar[int] = 4
    # What refers to an image goes with it unasked, and only what is handed over with it may.
    referrers_first: ClassVar[bool] = True
    keys: ClassVar[type[Keys]] = AcrKeys
    # ``restores``: where soft delete is on; :meth:`keepsakes` asks, and is empty where it isn't.

    def __init__(self, spec: RegistrySpec, context: Context) -> None:
        keys = cast("AcrKeys", spec.keys)
        self.abilities = keys.abilities
        self._spec = spec
        self._context = context
        self._caller = context.caller(spec)
        self._http = Http(environ=context.environ, concurrency=context.concurrency, clock=context.clock)
        self._host = normal_host(keys.registry)
        endpoint = (keys.endpoint or f"https://{self._host}").rstrip("/")
        self._entra = Entra(environ=context.environ, client_id=keys.client_id)
        self._tokens = Tokens(
            TokenService(
                endpoint=endpoint,
                service=self._host,
                http=self._http,
                caller=self._caller,
                clock=context.clock,
                now=context.now,
            ),
            proof_of(keys, self._entra),
        )
        self._api = Api(
            endpoint=endpoint,
            asking=Asking(endpoint=endpoint, http=self._http, caller=self._caller, authorizer=self._tokens),
            distribution=Distribution(
                endpoint=endpoint,
                http=self._http,
                caller=self._caller,
                authenticator=self._tokens,
                failed=content_trouble,
            ),
        )
        own = (self._host, keys.endpoint) if keys.endpoint else (self._host,)
        self.hosts = tuple(dict.fromkeys(map(normal_host, (*own, *spec.aliases))))
        self._held_twice: dict[str, frozenset[str]] = {}
        self._keeps_deleted: bool | None = None

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry; asks nothing and looks for no credentials yet."""
        keys = cast("AcrKeys", spec.keys)
        server = keys.registry.removeprefix("https://").rstrip("/")
        if "/" in server or "@" in server or ("." not in server and keys.endpoint is None):
            message = f"the registry of {spec.name} is its login server, as NAME.azurecr.io"
            raise Malformed(f"{message}; `az acr show --name NAME --query loginServer` tells it")
        return cls(spec, context)

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        return Traffic(requests=self._caller.requests, retries=self._caller.retries)

    def close(self) -> None:
        """Give back the connections."""
        self._entra.close()
        self._http.close()

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
        except Denied as exc:
            hint = "name the repositories under `repositories`, or give the identity the right to list them"
            if self._tokens.by_repository:
                hint += " (the role Container Registry Repository Catalog Lister)"
            raise Denied(f"{exc}; {hint}") from exc

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        repository = unit.name
        contents = read_contents(
            self._api,
            repository,
            known=self._context.memory.recall(self._spec.name, repository),
            configs=bool(wanted & {Field.CREATED, Field.LABELS}),
            workers=self._context.concurrency,
        )
        self._context.memory.keep(self._spec.name, repository, contents.known)
        self._remember_held(repository, contents.images)
        yield Listing(repository=repository, images=contents.images)

    def _remember_held(self, repository: str, images: Sequence[Image]) -> None:
        """Note what both refers to something and is held by an index: mostly nothing."""
        held = {child for image in images for child in image.children or ()}
        twice = frozenset(image.digest for image in images if image.subject and image.digest in held)
        if twice:
            self._held_twice[repository] = twice
        else:
            self._held_twice.pop(repository, None)

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        """Ask for each manifest: one answer tells its tags, and whether it is there."""
        digests = list(dict.fromkeys(image.digest for image in images))
        entries = each(
            lambda digest: self._api.manifest(repository, digest),
            digests,
            workers=self._context.concurrency,
        )
        return {
            digest: None if entry is None else frozenset(entry.tags or ())
            for digest, entry in zip(digests, entries, strict=True)
        }

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        going = frozenset(image.digest for image in images)
        return in_levels(
            images,
            lambda image: self._delete_one(repository, image.digest, going),
            workers=min(DELETIONS_AT_ONCE, self._context.concurrency),
        )

    def _delete_one(self, repository: str, digest: str, going: frozenset[str]) -> str | None:
        kept = self._would_go_unasked(repository, digest, going)
        if kept is not None:
            raise Refused(f"{kept} refers to it and stays; the registry would delete that too")
        return self._really_deleted(repository, digest)

    def _really_deleted(self, repository: str, digest: str) -> str | None:
        """Delete a manifest; where the answer got lost, or is nobody's, look what became of it."""
        try:
            return self._api.delete(repository, digest)
        except (Unsaid, Unreachable, Malformed) as exc:
            if self._is_gone(repository, digest):
                return f"gone, though the last answer was no success: {exc}"
            raise

    def _is_gone(self, repository: str, digest: str) -> bool:
        """Look what became of a manifest; what can't be seen isn't said to be gone."""
        try:
            return self._api.manifest(repository, digest, finishing=True) is None
        except RegistryError:
            return False

    def _would_go_unasked(self, repository: str, digest: str, going: frozenset[str]) -> str | None:
        """Find what refers to a manifest, refers to that, and so on, and must not go with it."""
        seen = {digest}
        waiting = [digest]
        while waiting:
            for referrer in self._api.referrers(repository, waiting.pop()):
                if referrer in seen or referrer in going:
                    continue
                seen.add(referrer)
                entry = self._api.manifest(repository, referrer)
                if entry is None:
                    continue
                own = [tag for tag in entry.tags or () if scheme_subject(tag) is None]
                if own or entry.attributes.is_locked or referrer in self._held_twice.get(repository, ()):
                    return f"{own[0]} ({referrer})" if own else referrer
                waiting.append(referrer)
        return None

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        for tag in tags:
            try:
                self._api.untag(repository, tag, image.digest)
            except Moved as exc:
                return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=exc.message)
            except Refused as exc:
                return Result(digest=image.digest, outcome=OutcomeKind.REFUSED, detail=exc.message)
            except (Unsaid, Unreachable, Malformed) as exc:
                if self._is_on(repository, tag, image.digest):
                    return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=exc.message)
        return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)

    def _is_on(self, repository: str, tag: str, digest: str) -> bool:
        """Look whether a tag is still there; what can't be seen isn't said to be off."""
        try:
            return self._api.tag(repository, tag, finishing=True) == digest
        except RegistryError:
            return True

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        """Name them: the registry has the rest, where it keeps what is deleted at all."""
        del repository
        if not self._may_keep_deleted():
            return {}
        return {
            image.digest: Keepsake(digest=image.digest, tags=image.tags, media_type=image.media_type)
            for image in images
        }

    def _may_keep_deleted(self) -> bool:
        """Ask once. Who may not look can't tell, and another may bring back what is kept then."""
        if self._keeps_deleted is None:
            try:
                self._api.keeps_deleted()
            except Stopped:
                raise
            except RegistryError as exc:
                self._keeps_deleted = not isinstance(exc, Unsupported | Gone)
            else:
                self._keeps_deleted = True
        return self._keeps_deleted

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        return restore(self._api, repository, keepsakes)

    def _check(self) -> Iterator[Finding]:
        return look(self, self._api, self._tokens)
