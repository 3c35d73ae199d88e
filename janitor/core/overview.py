"""A run at a glance: its outcomes summed up for reports that people look at.

Outcomes are read once and not held. Of single images so many are kept as a page shows; those that were not
done have a place of their own, so that the many that went well don't crowd them out. A report that was saved
without its images (``.json``) is summed up by what it says of its repositories.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

import msgspec

from janitor.core.legible import number
from janitor.core.plan import ActionKind, RepositoryState
from janitor.core.report import Outcome, OutcomeKind, Report, RepositoryReport, Sums
from janitor.core.units import format_size

DELETING = "delete"
"""The mode of a report whose run was to delete."""

AGES: tuple[tuple[str, timedelta | None], ...] = (
    ("<7d", timedelta(days=7)),
    ("<14d", timedelta(days=14)),
    ("<30d", timedelta(days=30)),
    ("<90d", timedelta(days=90)),
    ("<180d", timedelta(days=180)),
    ("<1y", timedelta(days=365)),
    ("<2y", timedelta(days=730)),
    ("2y+", timedelta.max),
    ("?", None),
)
"""Ages since the push, each with where it ends and the next begins; the last is of those not known."""


class Fate(StrEnum):
    """What becomes of an image of which something was planned."""

    GOES = "goes"
    UNTAGGED = "untagged"
    ARCHIVED = "archived"
    STOPPED = "stopped"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


DONE = (Fate.GOES, Fate.UNTAGGED, Fate.ARCHIVED)
UNDONE = (Fate.STOPPED, Fate.FAILED, Fate.REFUSED, Fate.SKIPPED)

_VERDICTS = {
    0: "nothing failed, and nothing was stopped",
    1: "something failed; the rest was done",
    2: "the command or a policy is wrong; nothing was done",
    3: "a limit, the deadline or an unreadable source stopped something from being deleted",
}
# An exit code above it is a signal's number on top of it.
_SIGNAL = 128

_FATES = {
    ActionKind.DELETE: Fate.GOES,
    ActionKind.UNTAG: Fate.UNTAGGED,
    ActionKind.ARCHIVE: Fate.ARCHIVED,
}


class Share(msgspec.Struct, kw_only=True):
    """A part of what a run is about.

    ``goes`` images, of ``size`` bytes together (an upper bound: layers are shared) and ``unsized`` of no
    known size; ``changed`` lose tags or move to the archive, ``undone`` stay though something was planned.
    """

    goes: int = 0
    size: int = 0
    unsized: int = 0
    changed: int = 0
    undone: int = 0

    def add(self, outcome: Outcome, fate: Fate) -> None:
        """Count one image."""
        if fate is Fate.GOES:
            self.goes += 1
            self.size += outcome.action.size_bytes or 0
            self.unsized += outcome.action.size_bytes is None
        elif fate in DONE:
            self.changed += 1
        else:
            self.undone += 1

    @property
    def images(self) -> int:
        """All images of it."""
        return self.goes + self.changed + self.undone


class Corner(Share, kw_only=True):
    """One repository's share. ``why`` is what stopped it; ``shown`` and ``left`` are the images to show.

    ``left`` are of those that were not done.
    """

    report: RepositoryReport
    why: str = ""
    shown: list[Outcome] = msgspec.field(default_factory=list)
    left: list[Outcome] = msgspec.field(default_factory=list)


class Overview(msgspec.Struct, kw_only=True):
    """All of a run. ``corners`` are its repositories in the order of the report, ``ages`` go with ``AGES``.

    An image that several rules take counts for each of them in ``rules``. ``listed``: single images are
    known.
    """

    total: Share = msgspec.field(default_factory=Share)
    fates: dict[Fate, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Fate, 0))
    corners: dict[tuple[str, str], Corner] = msgspec.field(default_factory=dict)
    rules: dict[str, Share] = msgspec.field(default_factory=dict)
    ages: list[Share] = msgspec.field(default_factory=lambda: [Share() for _ in AGES])
    listed: bool = False

    def largest(self) -> list[Corner]:
        """The repositories of which something was planned or that were stopped, the most freed first."""
        told = [
            each
            for each in self.corners.values()
            if each.images or each.report.state is not RepositoryState.OK
        ]
        return sorted(
            told, key=lambda each: (-each.size, -each.goes, each.report.registry, each.report.repository)
        )

    def busiest(self) -> list[tuple[str, Share]]:
        """The rules by how many images they take, the most first."""
        return sorted(self.rules.items(), key=lambda item: (-item[1].images, item[0]))


def headline(report: Report, total: Share) -> str:
    """One sentence: how much goes or went, of how much."""
    totals = report.totals
    verb = "Deleted" if report.mode == DELETING else "Would delete"
    scope = f"{number(totals.images, 'image')} in {number(totals.repositories, 'repository', 'repositories')}"
    size = f", {format_size(total.size)} at most" if total.goes else ""
    return f"{verb} {total.goes:,} of {scope}{size}"


def verdict(report: Report) -> str:
    """Say in words what the exit code says."""
    if report.exit_code >= _SIGNAL:
        return "interrupted: what was not reached stays for the next run"
    return _VERDICTS.get(report.exit_code, f"ended with exit code {report.exit_code}")


def overview(report: Report, outcomes: Iterable[Outcome], *, most: int, each: int) -> Overview:
    """Sum up, reading the outcomes once; ages are told from the run's start.

    ``most``: single images that are kept, and of those not done as many again; of a repository ``each``.
    """
    found = Overview(
        corners={(one.registry, one.repository): Corner(report=one) for one in report.repositories}
    )
    _explain(report, found)
    deleting = report.mode == DELETING
    room = {True: most, False: most}
    for outcome in outcomes:
        found.listed = True
        action = outcome.action
        place = action.registry, action.repository
        corner = found.corners.get(place)
        if corner is None:
            corner = found.corners[place] = Corner(report=_unlisted(*place))
        stopped = deleting or corner.report.state is not RepositoryState.OK
        fate = _fate(outcome, stopped=stopped)
        found.fates[fate] += 1
        age = found.ages[_age(report, outcome)]
        for share in (found.total, corner, age, *_of_rules(found, outcome)):
            share.add(outcome, fate)
        kept = corner.shown if fate in DONE else corner.left
        if corner.report.state is not RepositoryState.OK and not corner.why:
            corner.why = outcome.detail or ""
        if room[fate in DONE] and len(kept) < each:
            room[fate in DONE] -= 1
            kept.append(outcome)
    if not found.listed:
        _estimate(report, found)
    return found


def sums(seen: Overview) -> Sums:
    """Count as the terminal does."""
    return Sums(
        going={action: seen.fates[fate] for action, fate in _FATES.items()},
        size=seen.total.size,
        unsized=seen.total.unsized,
        stopped=seen.fates[Fate.STOPPED],
    )


def _of_rules(found: Overview, outcome: Outcome) -> list[Share]:
    return [found.rules.setdefault(rule, Share()) for rule in dict.fromkeys(outcome.action.rules)]


def _fate(outcome: Outcome, *, stopped: bool) -> Fate:
    match outcome.outcome:
        case OutcomeKind.FAILED:
            return Fate.FAILED
        case OutcomeKind.REFUSED:
            return Fate.REFUSED
        case OutcomeKind.SKIPPED:
            return Fate.SKIPPED
        case OutcomeKind.PLANNED if stopped:
            return Fate.STOPPED
    return _FATES[outcome.action.action]


def _age(report: Report, outcome: Outcome) -> int:
    pushed = outcome.action.pushed_at
    if pushed is None:
        return len(AGES) - 1
    age = report.started_at - pushed
    return next(place for place, (_, end) in enumerate(AGES) if end is not None and age < end)


def _explain(report: Report, found: Overview) -> None:
    """Say at a repository that failed what failed it, or else its registry."""
    said = {(error.registry, error.repository): error.message for error in reversed(report.errors)}
    for place, corner in found.corners.items():
        if corner.report.state is RepositoryState.FAILED:
            corner.why = said.get(place) or said.get((place[0], ""), "")


def _unlisted(registry: str, repository: str) -> RepositoryReport:
    return RepositoryReport(registry=registry, repository=repository, images=0, state=RepositoryState.OK)


def _estimate(report: Report, found: Overview) -> None:
    """Take from the counts of repositories what no single image tells."""
    deleting = report.mode == DELETING
    for corner in found.corners.values():
        one = corner.report
        lost = one.failed + one.refused + one.skipped
        if one.state is not RepositoryState.OK and not deleting:
            corner.undone = one.planned
        else:
            # What is planned to be deleted doesn't count as remaining.
            corner.goes = one.deleted if deleting else one.images - one.remaining
            corner.undone = lost
            corner.changed = max(one.planned - corner.goes - lost, 0)
        for name in ("goes", "changed", "undone"):
            setattr(found.total, name, getattr(found.total, name) + getattr(corner, name))
    totals = report.totals
    found.total.size = totals.deleted_bytes if deleting else totals.planned_bytes
    found.fates |= {
        Fate.GOES: found.total.goes,
        Fate.UNTAGGED: totals.untagged,
        Fate.ARCHIVED: totals.archived,
        Fate.FAILED: totals.failed,
        Fate.REFUSED: totals.refused,
        Fate.SKIPPED: totals.skipped,
    }
    undone = totals.failed + totals.refused + totals.skipped
    found.fates[Fate.STOPPED] = max(found.total.undone - undone, 0)
