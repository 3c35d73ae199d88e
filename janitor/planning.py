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
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO

import msgspec

from janitor.core.decision import Decisions
from janitor.core.draft import Draft, assemble
from janitor.core.limits import Tally, limit
from janitor.core.plan import Action, PlanHeader, RepositoryPlan, RepositoryState, Summary
from janitor.core.reference import Reference
from janitor.core.report import ErrorReport, Outcome, Stay
from janitor.core.use import InUse
from janitor.errors import RegistryError
from janitor.files.planfile import PlanWriter
from janitor.files.spool import KINDS, NO_LINES, Lines, Spool
from janitor.listing import Course, everything, unread
from janitor.log import get_logger
from janitor.premises import Opened, Premises
from janitor.progress import Progress
from janitor.providers.interface import Listing, Unit


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

    def dropped(self, repository: PlannedRepository) -> Iterator[Outcome]:  # noqa: ARG002 - an agreed plan's
        """What was asked for and is not to be done, with its reason; of a plan by itself nothing."""
        return iter(())

    def stays_in(self, repository: PlannedRepository) -> Iterator[Stay]:
        """Every image of one repository that stays, as :meth:`stays`."""
        return self._spool.stays(repository.stays)

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
    course: Course | None = None,
) -> Plan:
    """List and decide all that these registries hold, or what a course lets be listed; judge the limits.

    What can't be read is in the plan's notes, and touched nowhere. Once ``stop`` is set, no further unit is
    begun. Errors of registries are never raised.
    """
    with contextlib.ExitStack() as unless_made:
        spool = Spool()
        unless_made.callback(spool.close)
        notes = Notes()
        way = everything(registries, stop, course or Course())
        drafted = _draft_all(premises, way, spool, notes, progress=progress, noting_stays=noting_stays)
        drafted.sort(key=lambda one: (one.tally.registry, one.tally.repository))
        closed = _closed_by_use(premises, registries, notes)
        limit([one.tally for one in drafted], premises.policies.limits, closed)
        repositories = [_settled(one, spool) for one in drafted]
        unless_made.pop_all()
    header = PlanHeader(created_at=created_at, now=premises.now, policies_sha256=premises.policies.sha256)
    return Plan(header, repositories, spool, notes)


def _draft_all(
    premises: Premises,
    way: Iterator[tuple[Opened, Unit, Listing | RegistryError]],
    spool: Spool,
    notes: Notes,
    *,
    progress: Progress,
    noting_stays: bool,
) -> list[_Drafted]:
    """List and decide every repository; its lines are in the spool then."""
    drafted: list[_Drafted] = []
    decider = premises.decider()
    rationed = premises.policies.limits.budget is not None
    progress.started(None, "listing")
    for opened, unit, event in way:
        if isinstance(event, RegistryError):
            _fail(opened, unit, event, drafted, notes)
            continue
        decisions = opened.decide(event, decider, premises)
        draft = assemble(decisions, rationed=rationed)
        lines = spool.put(draft.actions, draft.needs if rationed else None)
        stays = spool.note_stays(decisions) if noting_stays else (0, 0)
        drafted.append(_Drafted(tally=draft.tally, unit=unit, lines=lines, stays=stays))
        _note(opened, draft, decisions, notes)
        # Their memory serves the next repository while it is still in the processor's cache.
        del decisions, draft
        progress.advanced(f"{opened.spec.name}/{event.repository}", len(event.images))
    progress.finished()
    return drafted


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
