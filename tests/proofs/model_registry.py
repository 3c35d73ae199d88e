"""A registry in process that lives, is killed and brings back; it looks itself at each deletion.

What a deletion may rest on is what was there when the repository was listed last, and what a journal says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from janitor.core.image import Abilities, Image
from janitor.core.policy import RegistrySpec
from janitor.core.report import OutcomeKind
from janitor.providers import Provider
from janitor.providers.interface import (
    Context,
    Field,
    Keepsake,
    Keys,
    Listing,
    Registry,
    Result,
    Unit,
    in_order_of_return,
)
from tests.journeys.inprocess import WorldRegistry
from tests.simulators.truth import Held, Repository
from tests.simulators.world import World

HOST = "prod.example"


class Killed(BaseException):
    """The end of a process, in the middle of something. Nothing of the program catches it."""


class ModelRegistry(WorldRegistry):
    """A world that records pushes and when tags were placed, and can bring back what it deleted.

    ``fuse``: after so many events the process is killed. ``listed``: each repository as it was when it was
    listed last. ``watch`` is called before each deletion with the repository and the digest.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world, archives=True)
        self.abilities = Abilities(
            records_pushes=True, records_pulls=True, untags=True, archives=True, restores=True
        )
        self.fuse: int | None = None
        self.listed: dict[str, Repository] = {}
        self.watch: Callable[[str, str], None] = lambda *_: None
        self.graves: dict[tuple[str, str], Held] = {}
        self.took: list[tuple[str, str]] = []

    def twin(self) -> ModelRegistry:
        """The same registry again, to live on alone."""
        other = ModelRegistry(self.world.copy())
        other.graves = dict(self.graves)
        other.fails = set(self.fails)
        return other

    def _event(self, method: str, repository: str) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed
        super()._event(method, repository)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:  # noqa: ARG002 - all is known
        self._event("list", unit.name)
        place = self.world.repositories.get(unit.name, Repository())
        self.listed[unit.name] = place.copy()
        images = tuple(image_of(held, place) for held in place.manifests.values())
        yield Listing(repository=unit.name, images=images)

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        self._event("delete", repository)
        for image in images:
            held = self.world[repository].manifests.get(image.digest)
            if held is not None and image.digest not in self.fails:
                self.watch(repository, image.digest)
                self.graves[repository, image.digest] = held
                self.took.append((repository, image.digest))
            result = self._delete_one(self.world[repository], image)
            # Done, and nobody was told yet.
            self._event("deleted", repository)
            yield result

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        self._event("keepsakes", repository)
        there = self.world[repository].manifests
        return {
            image.digest: Keepsake(
                digest=image.digest,
                tags=image.tags,
                media_type=image.media_type,
                manifest=there[image.digest].body,
            )
            for image in images
            if image.digest in there
        }

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        for level in in_order_of_return(keepsakes):
            for kept in level:
                self._event("restore", repository)
                yield self._restore_one(repository, kept)

    def _restore_one(self, repository: str, kept: Keepsake) -> Result:
        place = self.world[repository]
        held = place.manifests.get(kept.digest) or self.graves.get((repository, kept.digest))
        if held is None:
            return Result(digest=kept.digest, outcome=OutcomeKind.REFUSED, detail="it was never here")
        missing = [child for child in held.children if child not in place.manifests]
        if missing and kept.digest not in place.manifests:
            return Result(digest=kept.digest, outcome=OutcomeKind.REFUSED, detail="its platforms are gone")
        place.manifests[kept.digest] = held
        place.archived.pop(kept.digest, None)
        for tag in kept.tags:
            if tag not in place.tags:
                self.world.retag(repository, tag, kept.digest)
        return Result(digest=kept.digest, outcome=OutcomeKind.RESTORED)


def image_of(held: Held, place: Repository) -> Image:
    """What the registry tells of an image."""
    tags = sorted(place.tags_of(held.digest))
    return Image(
        digest=held.digest,
        tags=tuple(tags),
        media_type=held.media_type,
        artifact_type=held.artifact_type,
        type=held.type,
        pushed_at=held.pushed_at,
        created_at=held.created_at,
        pulled_at=held.pulled_at,
        size_bytes=held.size_bytes,
        children=held.children,
        subject=held.subject,
        labels=held.labels,
        tagged_at=max((place.tagged_at[tag] for tag in tags), default=None),
        archived_at=place.archived.get(held.digest),
    )


class Living(Provider, frozen=True, kw_only=True):
    """The row of one registry that is there already."""

    one: Registry

    def open(self, spec: RegistrySpec, context: Context) -> Registry:  # noqa: ARG002 - it is open
        return self.one


def row(registry: Registry) -> Living:
    """The row under which policies find it."""
    return Living(name="world", keys=Keys, place="", one=registry)


__all__ = ["HOST", "Killed", "ModelRegistry", "image_of", "row"]
