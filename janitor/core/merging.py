"""Several reports as one: the shards of one run, or the runs of some days.

A repository that several of them hold is as the latest has it, with what the earlier ones did added: their
deletions to ``deleted``, ``planned`` and ``images``. What an earlier run left (planned, failed, skipped) is
the later one's to tell. So the totals of shards, which share no repository, are the sums of theirs, and those
of days count no image twice.

What is known of a run as a whole (unselected tags, use) is taken from every report that shares no repository
with a later one. Errors and requests are added up, and of exit codes the gravest stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from janitor.core.plan import ActionKind
from janitor.core.report import (
    Outcome,
    OutcomeKind,
    RegistryReport,
    Report,
    RepositoryReport,
    RequestCounts,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)

Place = tuple[str, str]

_DONE = frozenset({OutcomeKind.DELETED, OutcomeKind.UNTAGGED, OutcomeKind.ARCHIVED, OutcomeKind.RESTORED})
# The gravest first; what isn't here is graver still: a signal's number on top of 128.
_GRAVITY = (2, 1, 3, 0)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One report. ``outcomes`` gives its outcomes, each time anew; ``None``: it was saved without them."""

    report: Report
    outcomes: Callable[[], Iterable[Outcome]] | None = None


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What several reports come to. ``parts`` are they, by time; ``latest`` says whose a repository is."""

    report: Report
    parts: tuple[Part, ...]
    latest: dict[Place, int]

    def stands(self, part: int, outcome: Outcome) -> bool:
        """Whether an outcome of this part is told: what was done is, and what the latest run has."""
        return outcome.outcome in _DONE or self.is_latest(part, _place_of(outcome))

    def is_latest(self, part: int, place: Place) -> bool:
        """Whether no later part holds the repository."""
        return self.latest.get(place, part) == part


def merge(parts: Sequence[Part]) -> Merged:
    """Merge reports of one mode, in whatever order; at least one."""
    parts = tuple(sorted(parts, key=lambda part: (part.report.started_at, part.report.run_id)))
    reports = [part.report for part in parts]
    latest = {
        (each.registry, each.repository): number
        for number, report in enumerate(reports)
        for each in report.repositories
    }
    repositories = tuple(_repositories(reports))
    current = [report for number, report in enumerate(reports) if _is_current(report, number, latest)]
    merged = Merged(report=reports[-1], parts=parts, latest=latest)
    planned_bytes = sum(_planned_bytes(merged, number) for number in range(len(parts)))
    report = Report(
        run_id=",".join(dict.fromkeys(report.run_id for report in reports)),
        mode=reports[-1].mode,
        started_at=min(report.started_at for report in reports),
        finished_at=max(report.finished_at for report in reports),
        exit_code=min((report.exit_code for report in reports), key=_gravity),
        policies=tuple(dict.fromkeys(chain.from_iterable(report.policies for report in reports))),
        totals=_totals(reports, repositories, planned_bytes),
        registries=tuple(_registries(reports)),
        repositories=repositories,
        unselected=tuple(_unselected(current)),
        in_use=_in_use(current),
        errors=tuple(dict.fromkeys(chain.from_iterable(report.errors for report in reports))),
    )
    return msgspec.structs.replace(merged, report=report)


def _place_of(outcome: Outcome) -> Place:
    return outcome.action.registry, outcome.action.repository


def _gravity(exit_code: int) -> int:
    return _GRAVITY.index(exit_code) if exit_code in _GRAVITY else -1


def _is_current(report: Report, number: int, latest: dict[Place, int]) -> bool:
    return all(latest[each.registry, each.repository] == number for each in report.repositories)


def _repositories(reports: Sequence[Report]) -> Iterator[RepositoryReport]:
    held: dict[Place, list[tuple[Report, RepositoryReport]]] = {}
    for report in reports:
        for each in report.repositories:
            held.setdefault((each.registry, each.repository), []).append((report, each))
    registries = {registry: number for number, (registry, _) in reversed(list(enumerate(held)))}
    for place in sorted(held, key=lambda place: (registries[place[0]], place[1])):
        *earlier, (_, last) = held[place]
        deleted = sum(each.deleted for _, each in earlier)
        yield msgspec.structs.replace(
            last,
            images=last.images + deleted,
            planned=last.planned + sum(_done(report, each) for report, each in earlier),
            deleted=last.deleted + deleted,
        )


def _done(report: Report, repository: RepositoryReport) -> int:
    """Count the planned images of a repository with which something was done."""
    if report.mode != "delete":
        return 0
    return repository.planned - repository.failed - repository.refused - repository.skipped


def _planned_bytes(merged: Merged, number: int) -> int:
    """Tell what a report adds: all, only what it did, or, where it is mixed, what its lines say."""
    report, outcomes = merged.parts[number].report, merged.parts[number].outcomes
    latest = {merged.is_latest(number, (each.registry, each.repository)) for each in report.repositories}
    if latest == {False}:
        return report.totals.deleted_bytes
    if False not in latest or outcomes is None:
        return report.totals.planned_bytes
    return sum(
        outcome.action.size_bytes or 0
        for outcome in outcomes()
        if outcome.action.action is ActionKind.DELETE and merged.stands(number, outcome)
    )


def _totals(
    reports: Sequence[Report], repositories: Sequence[RepositoryReport], planned_bytes: int
) -> Totals:
    return Totals(
        repositories=len(repositories),
        images=sum(each.images for each in repositories),
        planned=sum(each.planned for each in repositories),
        deleted=sum(each.deleted for each in repositories),
        untagged=sum(report.totals.untagged for report in reports),
        archived=sum(report.totals.archived for report in reports),
        failed=sum(each.failed for each in repositories),
        refused=sum(each.refused for each in repositories),
        skipped=sum(each.skipped for each in repositories),
        planned_bytes=planned_bytes,
        deleted_bytes=sum(report.totals.deleted_bytes for report in reports),
    )


def _registries(reports: Sequence[Report]) -> Iterator[RegistryReport]:
    held: dict[tuple[str, str], list[RegistryReport]] = {}
    for each in chain.from_iterable(report.registries for report in reports):
        held.setdefault((each.name, each.provider), []).append(each)
    for (name, provider), them in held.items():
        counts = {
            purpose: sum(getattr(each.requests, purpose) for each in them)
            for purpose in RequestCounts.__struct_fields__
        }
        yield RegistryReport(
            name=name,
            provider=provider,
            requests=RequestCounts(**counts),
            retries=sum(each.retries for each in them),
        )


def _unselected(reports: Sequence[Report]) -> Iterator[Unselected]:
    counts: dict[str, int] = {}
    for each in chain.from_iterable(report.unselected for report in reports):
        counts[each.pattern] = counts.get(each.pattern, 0) + each.images
    for pattern, images in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield Unselected(pattern=pattern, images=images)


def _in_use(reports: Sequence[Report]) -> UseReport:
    """Take each source once: shards read the same ones. One that any of them couldn't read is unread."""
    sources: dict[str, UseSource] = {}
    for each in chain.from_iterable(report.in_use.sources for report in reports):
        if each.error is not None or sources.get(each.source, each).error is None:
            sources[each.source] = each
    missing = chain.from_iterable(report.in_use.not_found for report in reports)
    return UseReport(
        sources=tuple(sources.values()),
        references=max((report.in_use.references for report in reports), default=0),
        not_found=tuple(sorted(set(missing))),
    )
