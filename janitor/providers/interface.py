"""The interface that every registry fulfils, and the values that pass through it.

The public methods live in the base class: they call the provider's ``_list``, ``_delete`` and so on, and let
nothing but :class:`janitor.errors.RegistryError` out. A provider never decides: it lists what is there, and
does to exactly the images that it is handed what it is told.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, Protocol, Self

import msgspec

from janitor.core.image import Abilities, Image
from janitor.core.known import Known
from janitor.core.manifest import ManifestError, parse_manifest
from janitor.core.order import levels
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.policy import RegistrySpec
from janitor.core.report import OutcomeKind, RequestCounts
from janitor.errors import Malformed, RegistryError, Unsupported
from janitor.net.caller import Caller
from janitor.providers.keys import Keys


class Field(StrEnum):
    """What of an image may cost a request of its own, and is read only when a policy asks for it."""

    CREATED = "created"
    LABELS = "labels"
    PULLED = "pulled"
    SIZE = "size"
    TYPE = "type"


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What one listing covers: the repository of that name; where ``many``, a group of repositories."""

    name: str
    many: bool = False


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One repository, whole, with children and subjects filled in."""

    repository: str
    images: tuple[Image, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one image that was to be changed.

    ``outcome`` is DELETED, UNTAGGED, ARCHIVED, RESTORED, REFUSED or FAILED. An image that was gone already is
    DELETED with a ``detail`` that says so.
    """

    digest: str
    outcome: OutcomeKind
    detail: str | None = None


class Keepsake(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to bring back an image that is about to go, as the journal keeps it.

    ``manifest`` are its exact bytes where the registry must be given them again; ``handle`` is the registry's
    own name of it where that brings it back.
    """

    digest: str
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    manifest: bytes | None = None
    handle: str | None = None


def in_order_of_return(keepsakes: Sequence[Keepsake]) -> Iterator[list[Keepsake]]:
    """Yield images in levels, each of which names only what came before it; raises Malformed."""
    kept = {one.digest: one for one in keepsakes}
    for level in reversed(list(levels([_sketch(one) for one in keepsakes]))):
        yield [kept[image.digest] for image in level]


def _sketch(kept: Keepsake) -> Image:
    """Tell what a kept manifest names, as an image."""
    if kept.manifest is None:
        return Image(digest=kept.digest)
    try:
        manifest = parse_manifest(kept.manifest, kept.media_type)
    except ManifestError as error:
        raise Malformed(f"the manifest that was kept of {kept.digest} can't be read: {error}") from error
    children = tuple(child.digest for child in manifest.children)
    return Image(digest=kept.digest, tags=kept.tags, children=children, subject=manifest.subject)


class Level(StrEnum):
    """How much a finding matters: ``ERROR`` keeps a run from its work, ``WARNING`` may surprise."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a look at a registry found, and what to do about it.

    ``about`` is a constant word: credentials, reading, deleting, pulls, tags, replication, undo, clock.
    """

    about: str
    level: Level
    message: str
    advice: str = ""


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``count`` parts of a registry, from 0; rendezvous hashing, so that another count moves few."""

    registry: str
    index: int
    count: int

    def holds(self, repository: str) -> bool:
        """Whether the repository is of this part."""
        name = f"{self.registry}/{repository}"
        weights = [hashlib.sha256(f"{index}/{name}".encode()).digest() for index in range(self.count)]
        return weights.index(max(weights)) == self.index


class RepositoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which repositories a run wants to see; what is ``None`` leaves none out."""

    covered: tuple[PatternList, ...]
    narrowed: PatternList | None = None
    shard: Shard | None = None

    def wants(self, repository: str) -> bool:
        """Whether some policy covers the repository and the command line did not leave it out."""
        if self.narrowed is not None and not self.narrowed.selects(repository):
            return False
        if self.shard is not None and not self.shard.holds(repository):
            return False
        return any(patterns.selects(repository) for patterns in self.covered)


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry was asked so far."""

    requests: RequestCounts = RequestCounts()
    retries: int = 0


class ManifestMemory(Protocol):
    """What earlier runs read of manifests, kept from run to run. Called from several threads."""

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        """Return what is known of the manifests of a repository, by digest; empty where nothing was kept."""

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        """Keep exactly this of a repository, which was just listed whole."""


class Forgetful:
    """A memory that keeps nothing."""

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return {}

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        """Nothing either."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry gets from the run that opens it.

    ``stop``: once set, no further request is sent. ``concurrency``: how many requests may be in flight.
    ``sleep`` (seconds), ``clock`` (monotonic seconds), ``random`` (from 0 to 1) and ``now`` (the time of day)
    are the machine's; tests hand in their own, so that no back-off really sleeps.
    """

    environ: Mapping[str, str]
    stop: threading.Event = msgspec.field(default_factory=threading.Event)
    concurrency: int = 16
    memory: ManifestMemory = msgspec.field(default_factory=Forgetful)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def caller(self, spec: RegistrySpec, *, requests_per_second: float | None = None) -> Caller:
        """Make the gate before a registry; the policy's limit comes before the provider's own."""
        return Caller(
            concurrency=self.concurrency,
            requests_per_second=spec.requests_per_second or requests_per_second,
            stop=self.stop,
            sleep=self.sleep,
            clock=self.clock,
            random=self.random,
        )


class Registry(ABC):
    """One registry, by one provider. Made from the provider's keys; opens nothing until it is asked.

    ``hosts`` are the prefixes under which its images are pulled (``docker.io/acme``), aliases included: a
    reference is of this registry when its name is one of these, a slash, and a repository. ``units_at_once``:
    how many units it pays to list side by side; a unit of many repositories is listed alone, as a stream.
    ``changes_at_once``: how many images are handed over at a time, its largest safe batch; what is begun is
    waited for when a run is stopped. ``referrers_first``: it deletes what refers to
    an image before that, and is handed both at once.
    """

    provider: ClassVar[str]
    units_at_once: ClassVar[int] = 1
    changes_at_once: ClassVar[int] = 16
    referrers_first: ClassVar[bool] = False
    keys: ClassVar[type[Keys]]
    abilities: Abilities
    hosts: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        """Make the registry that a policy file describes, of its ``spec.keys``; asks it nothing yet.

        Raises RegistryError when the keys contradict one another or a file that they name can't be read.
        """

    def units(self, only: RepositoryFilter) -> Iterator[Unit]:
        """Everything that is to be listed, once, in a stable order; asks no more than the catalogue.

        Raises RegistryError when the catalogue can't be read to its end.
        """
        return self._units(only)

    def list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:
        """Each repository of a unit, whole: every image, tagged or not, that the registry lets one see.

        Raises RegistryError as soon as a listing can't be proven whole: a page that fails, repeats, ends
        early, or a manifest that is not its digest. A repository that was given out before stays good. A
        repository that vanished meanwhile is an empty listing. Called from several threads for different
        units.
        """
        return self._list(unit, wanted)

    def tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        """Read the tags that each image has at this moment, by digest; ``None`` where the image is gone.

        Every digest that was asked for is in the answer. Nothing in it comes from memory.
        """
        answer = self._tags_now(repository, images)
        for image in images:
            if image.digest not in answer:
                raise Malformed(f"{self.provider} told nothing of {repository}@{image.digest}")
        return answer

    def delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        """Delete these images in the order that the service demands: one Result an image, always.

        Never deletes anything else. Raises only when nothing more can be told of the images not yet
        answered; those count as failed.
        """
        return self._answering(images, self._delete(repository, images))

    def untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        """Take tags off an image that keeps at least one other; never removes the manifest."""
        return self._untag(repository, image, tags)

    def archive(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        """Move these images to the archive class and delete nothing: one Result an image, always."""
        return self._answering(images, self._archive(repository, images))

    def keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        """Read what it takes to bring back images that are about to go, by digest; changes nothing.

        An image that can't be brought back is left out.
        """
        return self._keepsakes(repository, images)

    def restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        """Bring back images and their tags: one Result an image, always.

        They come in an order in which each finds what it names: children, indexes, referrers. A tag that is
        on another image by now stays there, and the detail says so.
        """
        return self._answering(keepsakes, self._restore(repository, keepsakes))

    def check(self) -> Iterator[Finding]:
        """Look whether a run could do its work, and what would surprise; changes nothing.

        Raises RegistryError when no more can be told.
        """
        return self._check()

    def other_names(self, repository: str) -> tuple[str, ...]:  # noqa: ARG002 - most have none
        """Tell under which names a repository is pulled beside those below its hosts."""
        return ()

    def traffic(self) -> Traffic:
        """Count what was asked so far."""
        return Traffic()

    def close(self) -> None:  # noqa: B027 - most registries hold nothing to give back
        """Give back connections and folders. May be called twice."""

    @staticmethod
    def _answering(asked: Iterable[Image | Keepsake], results: Iterator[Result]) -> Iterator[Result]:
        """See to it that each that was asked for is answered."""
        waiting = {each.digest for each in asked}
        for result in results:
            waiting.discard(result.digest)
            yield result
        for digest in sorted(waiting):
            yield Result(
                digest=digest, outcome=OutcomeKind.FAILED, detail="the registry did not answer for it"
            )

    @abstractmethod
    def _units(self, only: RepositoryFilter) -> Iterator[Unit]: ...

    @abstractmethod
    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]: ...

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        raise Unsupported(f"{self.provider} can't tell the tags of {len(images)} images of {repository}")

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        raise Unsupported(f"{self.provider} can't delete the {len(images)} images of {repository}")

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        raise Unsupported(f"{self.provider} can't take {', '.join(tags)} off {repository}@{image.digest}")

    def _archive(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        raise Unsupported(f"{self.provider} has no archive for the {len(images)} images of {repository}")

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:  # noqa: ARG002 - the interface's
        return {}

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        raise Unsupported(f"{self.provider} can't bring back the {len(keepsakes)} images of {repository}")

    def _check(self) -> Iterator[Finding]:
        """Try to read the first repository that there is."""
        everything = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
        unit = next(self.units(everything), None)
        if unit is None:
            yield Finding(about="reading", level=Level.WARNING, message="it can be read, and holds nothing")
            return
        listing = next(self.list(unit, frozenset()), None)
        what = unit.name if listing is None else listing.repository
        yield Finding(about="reading", level=Level.OK, message=f"{what} can be read")


__all__ = [
    "Context",
    "Field",
    "Finding",
    "Forgetful",
    "Keepsake",
    "Keys",
    "Level",
    "Listing",
    "ManifestMemory",
    "Registry",
    "RegistryError",
    "RepositoryFilter",
    "Result",
    "Shard",
    "Traffic",
    "Unit",
    "in_order_of_return",
]
