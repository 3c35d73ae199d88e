"""A registry over a world, in process, whose truth a test changes between one question and the next.

A *hook* is called before each question with its method (``units``, ``list``, ``tags_now``, ``delete``,
``archive``, ``untag``) and the repository, in this order of events; what it does to the world is what the
answer tells. The registry notes every deletion, and every one that broke something as it was done.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Self

from janitor.applying import Outcomes, apply
from janitor.core.image import Abilities, Image
from janitor.core.manifest import scheme_subject
from janitor.core.policy import PolicySet, RegistrySpec
from janitor.core.report import Outcome, OutcomeKind
from janitor.core.use import InUse
from janitor.errors import Unreachable
from janitor.files.journal import NAME, Begun, Journal
from janitor.files.repositorystate import RepositoryStates
from janitor.planning import Plan, make_plan
from janitor.premises import Opened, Premises, wanted_fields
from janitor.providers.interface import (
    Context,
    Field,
    Keys,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Unit,
)
from janitor.settings import Stop
from tests.instant import NOW
from tests.simulators.truth import Held, Repository
from tests.simulators.world import World

APP = "team/app"

Hook = Callable[[str, str], None]


class Clock:
    """A clock that only a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Silent:
    """Progress that nobody watches."""

    def started(self, total: int | None, what: str) -> None: ...

    def advanced(self, what: str, images: int) -> None: ...

    def finished(self) -> None: ...


class WorldRegistry(Registry):
    """A world as a registry that records pushes, lists everything and asks nobody.

    ``grouped``: all repositories are one unit. ``fails`` and ``refuses`` are digests that can't be deleted
    (the first not moved, either); ``broken`` are repositories whose listing breaks. ``deleted`` are digests;
    ``broke`` says in sentences what a deletion left without something that it needs, or took though its tags
    had moved.
    """

    provider: ClassVar[str] = "world"
    keys: ClassVar[type[Keys]] = Keys

    def __init__(
        self,
        world: World,
        *,
        name: str = "prod",
        untags: bool = True,
        archives: bool = False,
        grouped: bool = False,
    ) -> None:
        self.world = world
        self.name = name
        self.hosts = (f"{name}.example",)
        self.abilities = Abilities(records_pushes=True, untags=untags, archives=archives)
        self.grouped = grouped
        self.hooks: list[Hook] = []
        self.fails: set[str] = set()
        self.refuses: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.deleted: list[str] = []
        self.archived: list[str] = []
        self.batches: list[tuple[str, ...]] = []
        self.untagged: list[tuple[str, str]] = []
        self.broke: list[str] = []
        self.last_units: list[str] | None = None

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:
        raise NotImplementedError((spec, context))

    def _event(self, method: str, repository: str) -> None:
        self.asked.append((method, repository))
        for hook in tuple(self.hooks):
            hook(method, repository)

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        self._event("units", "")
        names = [name for name in sorted(self.world.repositories) if only.wants(name)]
        if self.grouped:
            self.last_units = names
            yield Unit(name="all", many=True)
            return
        for name in names:
            self._event("unit", name)
            yield Unit(name=name)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:  # noqa: ARG002  all is known
        for name in (self.last_units or []) if self.grouped else [unit.name]:
            self._event("list", name)
            if name in self.broken:
                raise Unreachable(f"the listing of {name} ended early")
            place = self.world.repositories.get(name, Repository())
            yield Listing(
                repository=name,
                images=tuple(_image(held, place) for held in place.manifests.values()),
            )

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        self._event("tags_now", repository)
        place = self.world[repository]
        return {
            image.digest: place.tags_of(image.digest) if image.digest in place.manifests else None
            for image in images
        }

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        self.batches.append(tuple(image.digest for image in images))
        self._event("delete", repository)
        for image in images:
            yield self._delete_one(self.world[repository], image)

    def _delete_one(self, place: Repository, image: Image) -> Result:
        digest = image.digest
        if digest in self.fails:
            return Result(digest=digest, outcome=OutcomeKind.FAILED, detail="out of order")
        if digest in self.refuses:
            return Result(digest=digest, outcome=OutcomeKind.REFUSED, detail="it has too many downloads")
        if digest not in place.manifests:
            return Result(digest=digest, outcome=OutcomeKind.DELETED, detail="was gone already")
        if place.tags_of(digest) != frozenset(image.tags):
            self.broke.append(f"{digest} had {image.tags}, and {place.tags_of(digest)} at its deletion")
        self.broke += [f"{holder} was left without {digest}" for holder in place.holders_of(digest)]
        subjects = {place.manifests[digest].subject, *map(scheme_subject, place.tags_of(digest))}
        self.broke += [
            f"{subject} lost its referrer {digest}" for subject in subjects if subject in place.manifests
        ]
        place.delete(digest)
        self.deleted.append(digest)
        return Result(digest=digest, outcome=OutcomeKind.DELETED)

    def _archive(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        self._event("archive", repository)
        place = self.world[repository]
        for image in images:
            digest = image.digest
            if digest in self.fails:
                yield Result(digest=digest, outcome=OutcomeKind.FAILED, detail="out of order")
                continue
            self.broke += [
                f"{holder} was left without {digest}"
                for holder in place.holders_of(digest) - place.archived.keys()
            ]
            place.archived[digest] = self.world.now
            self.archived.append(digest)
            yield Result(digest=digest, outcome=OutcomeKind.ARCHIVED)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        self._event("untag", repository)
        if image.digest in self.fails:
            raise Unreachable("the connection broke")
        for tag in tags:
            self.world[repository].untag(tag)
            self.untagged.append((image.digest, tag))
        if not self.world[repository].tags_of(image.digest):
            self.broke.append(f"{image.digest} lost its last tag")
        return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)


def _image(held: Held, place: Repository) -> Image:
    return Image(
        digest=held.digest,
        tags=tuple(sorted(place.tags_of(held.digest))),
        media_type=held.media_type,
        artifact_type=held.artifact_type,
        type=held.type,
        pushed_at=held.pushed_at,
        created_at=held.created_at,
        size_bytes=held.size_bytes,
        children=held.children,
        subject=held.subject,
        labels=held.labels,
        archived_at=place.archived.get(held.digest),
    )


def once(method: str, change: Callable[[], None], *, repository: str = APP, nth: int = 1) -> Hook:
    """A hook that makes one change, before the nth question of this method to the repository."""
    seen = 0

    def hook(asked: str, of: str) -> None:
        nonlocal seen
        if (asked, of) == (method, repository):
            seen += 1
            if seen == nth:
                change()

    return hook


class Journey:
    """One run in steps: plan, let things happen, apply.

    ``in_use`` is what the sources say at the moment; it is read again when it is older than ten minutes.
    ``use_read_at`` are the instants at which it was read. ``remembers``: a state folder is kept.
    """

    def __init__(
        self,
        *registries: WorldRegistry,
        policies: PolicySet,
        in_use: InUse | None = None,
        clock: Clock | None = None,
        remembers: bool = False,
    ) -> None:
        self.registries = {registry.name: registry for registry in registries}
        self.policies = policies
        self.in_use = in_use or InUse()
        self.clock = clock or Clock()
        self.stop = Stop()
        self.use_read_at: list[datetime] = []
        self._read = InUse()
        self.opened = {name: self._opened(registry) for name, registry in self.registries.items()}
        self._open: list[Plan | Outcomes | Journal] = []
        self._folder = tempfile.TemporaryDirectory(prefix="janitor-test-")
        self.journal_path = Path(self._folder.name) / "runs" / "run" / NAME
        self.journal = Journal(
            self.journal_path.parent,
            Begun(run_id="run", lock="lock", started_at=self.clock()),
        )
        self._open.append(self.journal)
        self.states = RepositoryStates(Path(self._folder.name)) if remembers else None

    def _opened(self, registry: WorldRegistry) -> Opened:
        covering = [policy for policy in self.policies.policies if policy.registries.selects(registry.name)]
        return Opened(
            spec=self.policies.registry(registry.name),
            registry=registry,
            only=RepositoryFilter(covered=tuple(policy.repositories for policy in covering)),
            wanted=wanted_fields([rule for policy in covering for rule in policy.rules], registry),
        )

    def premises(self) -> Premises:
        if not self.use_read_at or self.clock() - self.use_read_at[-1] > timedelta(minutes=10):
            self.use_read_at.append(self.clock())
            self._read = self.in_use
        return Premises(policies=self.policies, in_use=self._read, now=self.clock(), states=self.states)

    def plan(self) -> Plan:
        plan = make_plan(
            self.premises(),
            list(self.opened.values()),
            created_at=self.clock(),
            stop=self.stop,
            progress=Silent(),
        )
        self._open.append(plan)
        return plan

    def apply(self, plan: Plan) -> Done:
        outcomes = apply(
            plan,
            self.opened,
            self.premises,
            self.journal,
            stop=self.stop,
            clock=self.clock,
            progress=Silent(),
        )
        self._open.append(outcomes)
        return Done(tuple(outcomes), limited=outcomes.limited)

    def run(self) -> Done:
        return self.apply(self.plan())

    def close(self) -> None:
        for each in self._open:
            each.close()
        self._folder.cleanup()


class Done:
    """All outcomes, to be asked by digest."""

    def __init__(self, outcomes: tuple[Outcome, ...], *, limited: bool) -> None:
        self.outcomes = outcomes
        self.limited = limited

    def of(self, digest: str) -> OutcomeKind:
        return self._one(digest).outcome

    def why(self, digest: str) -> str:
        return self._one(digest).detail or ""

    def kinds(self) -> list[OutcomeKind]:
        return [outcome.outcome for outcome in self.outcomes]

    def _one(self, digest: str) -> Outcome:
        (found,) = [outcome for outcome in self.outcomes if outcome.action.digest == digest]
        return found


def planned(plan: Plan) -> dict[str, str]:
    """digest -> what is planned for it, over all repositories."""
    return {
        action.digest: action.action.value
        for repository in plan.repositories
        for action in plan.actions(repository)
    }
