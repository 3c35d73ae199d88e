"""What a run came to, as a report: counted from its plan and its outcomes, held against what is in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from janitor.applying import Outcomes
from janitor.core.report import (
    ErrorReport,
    Outcome,
    OutcomeKind,
    RegistryReport,
    Report,
    Unselected,
    UseReport,
    UseSource,
)
from janitor.core.tally import Counts, exit_code
from janitor.core.use import InUse
from janitor.files.atomic import replacing
from janitor.planning import Plan
from janitor.premises import Opened
from janitor.reports import renderer


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run beside what it planned and did.

    ``signal``: the one that ended it early; ``limited``: something was stopped that should have been done.
    """

    run_id: str
    deleting: bool
    started_at: datetime
    finished_at: datetime
    policies: tuple[str, ...]
    signal: int | None
    limited: bool
    errors: tuple[ErrorReport, ...]


def make_report(
    facts: Facts, opened: Sequence[Opened], plan: Plan, done: Outcomes | None, in_use: InUse
) -> Report:
    """Sum up; ``done`` is ``None`` where nothing was to be done."""
    counts = _counted(plan, done)
    repositories = counts.repositories()
    return Report(
        run_id=facts.run_id,
        mode="delete" if facts.deleting else "dry-run",
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        exit_code=exit_code(
            repositories, errors=bool(facts.errors), limited=facts.limited, signal=facts.signal
        ),
        policies=facts.policies,
        totals=counts.totals(),
        registries=tuple(map(_traffic, opened)),
        repositories=repositories,
        unselected=_unselected(plan),
        in_use=_use_report(in_use, opened, plan),
        errors=facts.errors,
    )


def write_report(path: str, report: Report, outcomes: Iterable[Outcome]) -> None:
    """Write a report in the form that its suffix names; what was there stays until all is written.

    Errors: FileError; UsageError of a suffix that names none.
    """
    with replacing(Path(path)) as stream:
        for text in renderer(path)(report, outcomes):
            stream.write(text.encode())


def planned_outcomes(plan: Plan) -> Iterator[Outcome]:
    """Every action of a plan as an outcome that is only planned, and what is not to be done."""
    for repository in plan.repositories:
        yield from plan.dropped(repository)
        for action in plan.actions(repository):
            yield Outcome(action=action, outcome=OutcomeKind.PLANNED, detail=repository.plan.detail)


def _counted(plan: Plan, done: Outcomes | None) -> Counts:
    """Count what was done, or else what is planned, without reading it again."""
    counts = Counts([repository.plan for repository in plan.repositories])
    if done is not None:
        counts.add(done)
        return counts
    for repository in plan.repositories:
        lines = repository.lines
        counts.plan(repository.plan, sum(lines.counts), lines.counts[0], lines.freed_bytes)
        counts.add(plan.dropped(repository))
    return counts


def _traffic(opened: Opened) -> RegistryReport:
    traffic = opened.registry.traffic()
    return RegistryReport(
        name=opened.spec.name,
        provider=opened.spec.provider,
        requests=traffic.requests,
        retries=traffic.retries,
    )


def _unselected(plan: Plan) -> tuple[Unselected, ...]:
    counted = sorted(plan.notes.unselected.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Unselected(pattern=pattern, images=images) for pattern, images in counted)


def _use_report(in_use: InUse, opened: Sequence[Opened], plan: Plan) -> UseReport:
    """Sum up the sources; a reference is not found when it names nothing in a repository that was wanted."""
    references = {reference for reading in in_use.readings for reference in reading.references}
    missing = {
        reference
        for one in opened
        for host in one.registry.hosts
        for reference in references - plan.notes.named
        if (below := reference.repository_below(host)) is not None and one.only.wants(below)
    }
    return UseReport(
        sources=tuple(
            UseSource(source=reading.source, references=len(reading.references), error=reading.error)
            for reading in in_use.readings
        ),
        references=len(references),
        not_found=tuple(sorted(map(str, missing))),
    )
