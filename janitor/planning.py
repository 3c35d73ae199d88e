"""From registries to a plan: every repository listed, decided, drafted; then the limits of the run.

Rules that stand here:

- Only a listing that came to its end becomes an :class:`Inventory`. A unit whose listing breaks is touched
  nowhere, the repositories that it had given before its end included.
- One repository is in memory at a time. Its lines are spooled, encoded once; what is kept of it is what the
  limits of the run need.
- Limits are judged when all is listed; only then are the states of the repositories known, and the plan is
  written in a second pass over the spool, in the order of the names.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO

import msgspec

from janitor.core.decision import Decider, Decisions
from janitor.core.draft import Draft, assemble
from janitor.core.image import Image, Inventory
from janitor.core.leftover import Leftover
from janitor.core.limits import Tally, floor, last_tagged, limit
from janitor.core.plan import Action, PlanHeader, RepositoryPlan, RepositoryState, Summary
from janitor.core.policy import PolicySet, RegistrySpec, Rule, Side
from janitor.core.reference import Reference
from janitor.core.report import ErrorReport, Outcome, Stay
from janitor.core.use import InUse
from janitor.errors import RegistryError, Stopped
from janitor.files.planfile import PlanWriter
from janitor.files.repositorystate import RepositoryStates
from janitor.files.spool import KINDS, NO_LINES, Lines, Spool
from janitor.log import get_logger
from janitor.parallel import each
from janitor.progress import Progress
from janitor.providers.interface import Field, Listing, Registry, RepositoryFilter, Unit


class Premises(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions rest on besides the images.

    ``states`` fills in when digests and tags were first seen; ``None`` where that is not to count.
    """

    policies: PolicySet
    in_use: InUse
    now: datetime
    states: RepositoryStates | None = None

    def decider(self) -> Decider:
        """Decide by these premises."""
        return Decider(self.policies, self.in_use, self.now)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A registry of a run: as the files describe it, opened, and narrowed to what the run wants to see."""

    spec: RegistrySpec
    registry: Registry
    only: RepositoryFilter
    wanted: frozenset[Field]

    def decide(
        self,
        listing: Listing,
        decider: Decider,
        premises: Premises,
        leftovers: Mapping[str, Leftover] | None = None,
    ) -> Decisions:
        """Decide one repository that was just listed, the floor included.

        ``leftovers``: what was left behind there; ``None``: what the state folder says, which forgets what
        may not go any more.
        """
        images: tuple[Image, ...] = listing.images
        states = premises.states
        kept: Mapping[str, Leftover] = {}
        if states is not None and self.registry.abilities.deletes:
            images = states.placed(self.spec.name, listing.repository, images, premises.now)
            kept = states.leftovers(self.spec.name, listing.repository) if leftovers is None else leftovers
        inventory = Inventory(registry=self.spec.name, repository=listing.repository, images=images)
        abilities = self.registry.abilities
        decisions = decider.decide(inventory, hosts=self.registry.hosts, abilities=abilities, leftovers=kept)
        if kept and leftovers is None and states is not None:
            going = {decisions.facts.images[i].digest for i in decisions.left}
            still = {digest: left for digest, left in kept.items() if digest in going}
            states.leave(self.spec.name, listing.repository, still)
        decisions = floor(decisions, premises.policies.limits.min_remaining)
        return last_tagged(decisions) if abilities.keeps_last_tagged else decisions


def wanted_fields(rules: Iterable[Rule], registry: Registry) -> frozenset[Field]:
    """Work out what these rules ask of an image that may cost a request of its own."""
    wanted: set[Field] = set()
    for rule in rules:
        keys = {condition.key for condition in rule.conditions}
        if rule.side is Side.DELETE and not registry.abilities.records_pushes:
            # Without pushes, the time of an image is its creation, and no deletion goes without a time.
            wanted.add(Field.CREATED)
        if rule.order_by == "created":
            wanted.add(Field.CREATED)
        if rule.select.labels:
            wanted.add(Field.LABELS)
        if rule.select.type:
            wanted.add(Field.TYPE)
        if keys & {"pulled_within", "not_pulled_for"} or rule.order_by == "pulled":
            wanted.add(Field.PULLED)
        if keys & {"within_size", "beyond_size", "larger_than"}:
            wanted.add(Field.SIZE)
    return frozenset(wanted)


class PlannedRepository(msgspec.Struct, frozen=True, kw_only=True):
    """One repository of a plan, the unit in which it was listed, its lines, and where its stays are noted."""

    plan: RepositoryPlan
    unit: Unit
    lines: Lines
    stays: tuple[int, int] = (0, 0)

    @property
    def is_due(self) -> bool:
        """Whether something is to be done, and may be."""
        return self.plan.state is RepositoryState.OK and self.lines.end > self.lines.start


class Notes(msgspec.Struct, kw_only=True):
    """What was seen while planning, beside the plan: for the report.

    ``unselected`` as in drafts; ``named``: the references in use that name an image which was listed;
    ``used``: the registries of which an image is in use.
    """

    errors: list[ErrorReport] = msgspec.field(default_factory=list)
    unselected: Counter[str] = msgspec.field(default_factory=Counter)
    named: set[Reference] = msgspec.field(default_factory=set)
    used: set[str] = msgspec.field(default_factory=set)


class Plan:
    """What is to happen in all repositories, in the order of their names; a handle on a spool. Close it."""

    def __init__(
        self, header: PlanHeader, repositories: Sequence[PlannedRepository], spool: Spool, notes: Notes
    ) -> None:
        self.header = header
        self.repositories = repositories
        self.notes = notes
        self._spool = spool

    def actions(self, repository: PlannedRepository) -> Iterator[Action]:
        """The actions of one repository, in the order in which they are to be done."""
        return self._spool.actions(repository.lines)

    def dropped(self, repository: PlannedRepository) -> Iterator[Outcome]:  # noqa: ARG002 - a saved plan's
        """What was asked for and is not to be done, with its reason; of a plan by itself nothing."""
        return iter(())

    def stays(self) -> Iterator[Stay]:
        """Every image that stays, with its reasons; kept only when the plan was made so."""
        return (stay for repository in self.repositories for stay in self._spool.stays(repository.stays))

    def write(self, stream: IO[bytes]) -> Summary:
        """Write the plan file; its summary is returned."""
        writer = PlanWriter(stream, self.header)
        for repository in self.repositories:
            writer.repository(repository.plan)
            writer.actions(self._spool.raw(repository.lines))
        return writer.close(self.summary())

    def summary(self) -> Summary:
        """Count the lines."""
        lines = [repository.lines for repository in self.repositories]
        delete, untag, archive = (sum(line.counts[kind] for line in lines) for kind in range(len(KINDS)))
        return Summary(
            repositories=len(self.repositories),
            images=sum(repository.plan.images for repository in self.repositories),
            delete=delete,
            untag=untag,
            archive=archive,
            freed_bytes=sum(line.freed_bytes for line in lines),
        )

    def close(self) -> None:
        """Give the spool back."""
        self._spool.close()


class _Drafted(msgspec.Struct, kw_only=True):
    """One repository as it was drafted, until the limits have spoken."""

    tally: Tally
    unit: Unit
    lines: Lines
    stays: tuple[int, int] = (0, 0)
    failed: str | None = None


def make_plan(
    premises: Premises,
    registries: Sequence[Opened],
    *,
    created_at: datetime,
    stop: threading.Event,
    progress: Progress,
    noting_stays: bool = False,
) -> Plan:
    """List and decide all that these registries hold, and judge the limits.

    What can't be read is in the plan's notes, and touched nowhere. Once ``stop`` is set, no further unit is
    begun. Errors of registries are never raised.
    """
    with contextlib.ExitStack() as unless_made:
        spool = Spool()
        unless_made.callback(spool.close)
        notes = Notes()
        drafted = _draft_all(
            premises, registries, spool, notes, stop=stop, progress=progress, noting_stays=noting_stays
        )
        drafted.sort(key=lambda one: (one.tally.registry, one.tally.repository))
        closed = _closed_by_use(premises, registries, notes)
        limit([one.tally for one in drafted], premises.policies.limits, closed)
        repositories = [_settled(one, spool) for one in drafted]
        unless_made.pop_all()
    header = PlanHeader(created_at=created_at, now=premises.now, policies_sha256=premises.policies.sha256)
    return Plan(header, repositories, spool, notes)


def _draft_all(
    premises: Premises,
    registries: Sequence[Opened],
    spool: Spool,
    notes: Notes,
    *,
    stop: threading.Event,
    progress: Progress,
    noting_stays: bool,
) -> list[_Drafted]:
    """List and decide every repository; its lines are in the spool then."""
    drafted: list[_Drafted] = []
    decider = premises.decider()
    rationed = premises.policies.limits.budget is not None
    progress.started(None, "listing")
    for opened in registries:
        for unit, event in listings(opened, stop):
            if isinstance(event, RegistryError):
                _fail(opened, unit, event, drafted, notes)
                continue
            decisions = opened.decide(event, decider, premises)
            draft = assemble(decisions, rationed=rationed)
            lines = spool.put(draft.actions, draft.needs if rationed else None)
            stays = spool.note_stays(decisions) if noting_stays else (0, 0)
            drafted.append(_Drafted(tally=draft.tally, unit=unit, lines=lines, stays=stays))
            _note(opened, draft, decisions, notes)
            progress.advanced(f"{opened.spec.name}/{event.repository}", len(event.images))
    progress.finished()
    return drafted


_Event = tuple[Unit, Listing | RegistryError]


def listings(opened: Opened, stop: threading.Event) -> Iterator[_Event]:
    """Give every repository of a registry, or the error in its place."""
    at_once = opened.registry.units_at_once
    try:
        units = _units(opened, stop)
        if at_once == 1:
            for unit in units:
                yield from _listed(opened, unit)
            return
        for events in each(
            lambda unit: tuple(_listed(opened, unit)), units, workers=at_once, ahead=at_once + 1
        ):
            yield from events
    except RegistryError as error:
        yield _WHOLE, error


def _units(opened: Opened, stop: threading.Event) -> Iterator[Unit]:
    for unit in opened.registry.units(opened.only):
        if stop.is_set():
            raise Stopped(f"the listing of {opened.spec.name} was stopped")
        yield unit


def _listed(opened: Opened, unit: Unit) -> Iterator[_Event]:
    try:
        for listing in opened.registry.list(unit, opened.wanted):
            yield unit, listing
    except RegistryError as error:
        yield unit, error


# Stands for all of a registry where its catalogue could not be read.
_WHOLE = Unit(name="", many=True)


def unread(opened: Opened, unit: Unit, error: RegistryError) -> ErrorReport:
    """Say that a unit could not be read; of a unit of many repositories, that the registry couldn't."""
    repository = "" if unit.many else unit.name
    return ErrorReport(
        registry=opened.spec.name, repository=repository, code=error.code, message=error.message
    )


def _fail(opened: Opened, unit: Unit, error: RegistryError, drafted: list[_Drafted], notes: Notes) -> None:
    """Write down that a unit broke; what it gave before is not touched either."""
    trouble = unread(opened, unit, error)
    registry, repository = trouble.registry, trouble.repository
    get_logger().warning(
        "listing.failed", registry=registry, repository=repository, code=trouble.code, message=trouble.message
    )
    notes.errors.append(trouble)
    for one in drafted:
        if one.unit is unit:
            one.failed = error.message
            one.tally = Tally(registry=registry, repository=one.tally.repository, images=one.tally.images)
    if repository:
        tally = Tally(registry=registry, repository=repository)
        drafted.append(_Drafted(tally=tally, unit=unit, lines=NO_LINES, failed=error.message))


def _note(opened: Opened, draft: Draft, decisions: Decisions, notes: Notes) -> None:
    notes.unselected.update(draft.unselected)
    named = decisions.protections.named
    if named:
        notes.named.update(named)
        notes.used.add(opened.spec.name)


def why_closed(in_use: InUse) -> str | None:
    """Say why the sources of use let nothing go; ``None`` when all were read and name something."""
    for reading in in_use.readings:
        if reading.error is not None:
            return f"what is in use isn't known: {reading.error}"
        if not reading.references and not reading.allow_empty:
            return f"{reading.source} names no image at all; say allow_empty: true if that is right"
    return None


def _closed_by_use(premises: Premises, registries: Sequence[Opened], notes: Notes) -> dict[str, str]:
    """Which registries the state of use closes (``""``: all), and why."""
    closed = why_closed(premises.in_use)
    if closed is not None:
        return {"": closed}
    references = [reference for reading in premises.in_use.readings for reference in reading.references]
    if not references:
        return {}
    return {
        opened.spec.name: (
            "the sources of use name nothing of this registry; a mirror may be missing from its aliases, "
            "or say allow_unused: true if that is right"
        )
        for opened in registries
        if not opened.spec.allow_unused
        and opened.spec.name not in notes.used
        and not any(
            reference.matches_host(host) for host in opened.registry.hosts for reference in references
        )
    }


def _settled(drafted: _Drafted, spool: Spool) -> PlannedRepository:
    """Give a repository its state, and the lines that the ration lets stand."""
    tally = drafted.tally
    state, detail, lines = RepositoryState.OK, None, drafted.lines
    if tally.allowed is not None and tally.allowed < tally.going:
        lines = spool.cut(lines, tally.allowed)
    if drafted.failed is not None:
        state, detail, lines = RepositoryState.FAILED, drafted.failed, NO_LINES
    elif tally.stopped is not None and lines.end > lines.start:
        state, detail = RepositoryState.LIMITED, tally.stopped
    plan = RepositoryPlan(
        registry=tally.registry, repository=tally.repository, images=tally.images, state=state, detail=detail
    )
    return PlannedRepository(plan=plan, unit=drafted.unit, lines=lines, stays=drafted.stays)
