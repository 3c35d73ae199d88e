"""One run, from policy files to a report: the road that every command enters and leaves somewhere.

What a command wants is a ``Settings``; what came of it is a :class:`RunResult`. Whoever starts a run
hands it the clock, the environment, the stop and the progress, so that a run reads none of them itself.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from janitor.agreeing import agree
from janitor.applying import Outcomes, apply
from janitor.clock import onward
from janitor.core.plan import RepositoryState
from janitor.core.policy import PolicySet
from janitor.core.report import (
    ErrorReport,
    Outcome,
    Report,
    Stay,
    Sums,
)
from janitor.core.use import InUse
from janitor.errors import FileError, Stopped
from janitor.files.atomic import replacing
from janitor.files.journal import Begun, Journal
from janitor.files.planfile import PlanFile, read_plan
from janitor.files.repositorystate import RepositoryStates
from janitor.files.spool import KINDS
from janitor.inuse import collect
from janitor.listing import Course
from janitor.log import get_logger
from janitor.notifying import broken_off, tell
from janitor.opening import load_policies
from janitor.planning import Plan, make_plan
from janitor.premises import Premises
from janitor.progress import Progress
from janitor.recovering import recover
from janitor.reporting import Facts, make_report, planned_outcomes, write_report
from janitor.settings import Ground, Settings, Stop, check_writable, ground

# Sources of use that were read longer ago are read again before the next repository is changed.
_USE_LASTS = timedelta(minutes=10)


class RunResult:
    """What came of a run. Outcomes and stays can be many: they are read from spools. Close it."""

    def __init__(self, report: Report, plan: Plan, done: Outcomes | None, notes: tuple[str, ...]) -> None:
        self.report = report
        self.notes = notes
        self._plan = plan
        self._done = done

    @property
    def exit_code(self) -> int:
        """As the report's."""
        return self.report.exit_code

    def outcomes(self) -> Iterator[Outcome]:
        """Every planned action, a repository at a time in the order of the report; can be asked for again."""
        return planned_outcomes(self._plan) if self._done is None else iter(self._done)

    def sums(self) -> Sums | None:
        """Count what is planned without reading it again; ``None`` where something was done."""
        if self._done is not None:
            return None
        sums = Sums()
        for repository in self._plan.repositories:
            lines = repository.lines
            if repository.plan.state is not RepositoryState.OK:
                sums.stopped += sum(lines.counts)
                continue
            for kind, count in zip(KINDS, lines.counts, strict=True):
                sums.going[kind] += count
            sums.size += lines.freed_bytes
            sums.unsized += lines.unsized
        return sums

    def stays(self) -> Iterator[Stay]:
        """Every image that stays, in the same order; nothing unless the run was asked to be verbose."""
        return self._plan.stays()

    def close(self) -> None:
        """Give the spools back; outcomes and stays can't be asked for any more."""
        self._plan.close()
        if self._done is not None:
            self._done.close()


class Order(NamedTuple):
    """Which run it is, and the policies that it goes by."""

    run_id: str
    policies: PolicySet


def new_run_id(started: datetime) -> str:
    """Name a run by its start, so that names sort by time."""
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def run(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
    order: Order | None = None,
) -> RunResult:
    """Plan, delete if asked to, write the plan and the reports that the settings name, and tell of it.

    ``order``: the run's id and its policies, where they are known before it begins.
    Errors: UsageError and PolicyError before anything is done; whatever fails later is in the report. Who is
    to be told of failures is told of those that end a run without one, too, once its policies are read.
    """
    clock = onward(clock)
    started = clock()
    if order is None:
        order = Order(new_run_id(started), load_policies(settings.policies, environ))
    run_id, policies = order.run_id, _limited(order.policies, settings)
    try:
        return _run(settings, environ, policies, run_id, started, stop=stop, clock=clock, progress=progress)
    except Exception as error:
        broken = broken_off(
            error,
            run_id=run_id,
            deleting=settings.delete,
            policies=policies.files,
            started_at=started,
            finished_at=clock(),
        )
        tell(policies.notify, broken, environ)
        raise


def _run(
    settings: Settings,
    environ: Mapping[str, str],
    policies: PolicySet,
    run_id: str,
    started: datetime,
    *,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
) -> RunResult:
    check_writable((*settings.reports, *filter(None, (settings.plan,))))
    logger = get_logger()
    logger.info("run.started", run_id=run_id, delete=settings.delete, policies=policies.files)
    with contextlib.ExitStack() as opened_files, contextlib.ExitStack() as unless_done:
        saved = None
        if settings.saved is not None:
            saved = opened_files.enter_context(read_plan(Path(settings.saved)))
        on = opened_files.enter_context(ground(settings, policies, environ, run_id, stop))
        opened, errors = on.opened, on.errors
        registries = {one.spec.name: one for one in opened}
        notes = on.notes
        if on.folder is not None:
            notes += recover(on.folder, on.states, registries, run_id, clock)
        course = _course(settings, on, started, clock, stop)
        read = partial(collect, policies.protect.in_use, stop, environ)
        premises = _FreshPremises(policies, settings, on.states, clock, read)
        plan = make_plan(
            premises.fresh(),
            opened,
            created_at=started,
            stop=stop,
            progress=progress,
            noting_stays=settings.verbose or saved is not None,
            course=course,
        )
        unless_done.callback(plan.close)
        if saved is not None:
            notes += _other_policies(saved, policies)
            plan = agree(saved, plan)
            unless_done.callback(plan.close)
        if settings.plan is not None:
            with replacing(Path(settings.plan)) as stream:
                plan.write(stream)
        journal: Journal | None = None
        done: Outcomes | None = None
        if settings.delete and on.folder is not None:
            begun = Begun(run_id=run_id, lock=on.folder.lock_name, started_at=started)
            journal = Journal(on.folder.run_folder(run_id), begun)
            unless_done.callback(journal.close)
            done = apply(
                plan,
                registries,
                premises.fresh,
                journal,
                stop=stop,
                clock=clock,
                progress=progress,
                begin_after=course.begin_after,
            )
            unless_done.callback(done.close)
            errors.extend(_troubles(journal))
        limited = _remember_place(on, course, plan, done, stop)
        report = make_report(
            Facts(
                run_id=run_id,
                deleting=settings.delete,
                started_at=started,
                finished_at=clock(),
                policies=policies.files,
                signal=stop.signal,
                limited=limited,
                errors=(*errors, *plan.notes.errors),
            ),
            opened,
            plan,
            done,
            premises.in_use,
        )
        if on.states.trouble is not None:
            notes += (f"what was read could not all be kept for the next run: {on.states.trouble}",)
        result = RunResult(report, plan, done, notes)
        logger.info("run.finished", run_id=run_id, exit_code=report.exit_code)
        paths = _report_paths(settings, on, run_id)
        _write_down(result, paths, journal, clock)
        untold = tell(policies.notify, report, environ)
        if untold:
            report = msgspec.structs.replace(report, errors=(*report.errors, *untold))
            result = RunResult(report, plan, done, notes)
            # Once more, in the place of what is there, if that can be; a pipe has had its report.
            with contextlib.suppress(FileError):
                _write_down(result, [path for path in paths if Path(path).is_file()], None, clock)
        unless_done.pop_all()
        return result


def _other_policies(saved: PlanFile, policies: PolicySet) -> tuple[str, ...]:
    if saved.header.policies_sha256 == policies.sha256:
        return ()
    return ("the saved plan was made with other policies than these",)


def _course(
    settings: Settings, on: Ground, started: datetime, clock: Callable[[], datetime], stop: Stop
) -> Course:
    """Begin after the place that the run before reached; with a deadline, list until half of it is over."""
    begin_after = None if on.folder is None else on.folder.position()
    if settings.deadline is None:
        return Course(begin_after)
    stop.expire(started + settings.deadline, clock)
    half = started + settings.deadline / 2
    return Course(begin_after, lambda: clock() >= half)


def _remember_place(on: Ground, course: Course, plan: Plan, done: Outcomes | None, stop: Stop) -> bool:
    """Remember where the next run begins, and tell whether something was stopped that should have been done.

    A listing that the deadline broke off is no error: the next run begins with it.
    """
    errors = plan.notes.errors
    broken_off = [error for error in errors if error.code == Stopped.code]
    if stop.signal is None:
        errors[:] = [error for error in errors if error.code != Stopped.code]
    unfinished = done is not None and done.unfinished
    cut = course.cut or bool(broken_off) or unfinished
    if on.folder is not None:
        reached = done.reached if done is not None and unfinished else course.last
        try:
            on.folder.move_to((reached or course.begin_after) if cut else None)
        except FileError as error:
            # What was done is to be reported all the same.
            errors.append(ErrorReport(code=error.code, message=error.message))
    return cut or (done is not None and done.limited)


def _troubles(journal: Journal) -> Iterator[ErrorReport]:
    """Say what kept a journal from being written."""
    if journal.trouble is not None:
        yield ErrorReport(code=FileError.code, message=journal.trouble)


class _FreshPremises:
    """The premises of a run: read once, and what is in use again when it has grown old."""

    def __init__(
        self,
        policies: PolicySet,
        settings: Settings,
        states: RepositoryStates,
        clock: Callable[[], datetime],
        read: Callable[[], InUse],
    ) -> None:
        self._policies = policies
        self._now = settings.now
        # What appears is placed when it is first seen, but not in a time that was only assumed.
        self._states = states if settings.now is None else None
        self._clock = clock
        self._read = read
        self._read_at = clock()
        self.in_use = read()

    def fresh(self) -> Premises:
        """Premises to decide by at this moment."""
        now = self._clock()
        if now - self._read_at > _USE_LASTS:
            self._read_at = now
            self.in_use = self._read()
        return Premises(
            policies=self._policies, in_use=self.in_use, now=self._now or now, states=self._states
        )


def _limited(policies: PolicySet, settings: Settings) -> PolicySet:
    """Put the options in the place of the files' limits, and share them among shards."""
    limits = policies.limits
    if settings.max_deletions is not None:
        limits = msgspec.structs.replace(limits, max_deletions=settings.max_deletions)
    if settings.max_percent is not None:
        limits = msgspec.structs.replace(limits, max_percent=settings.max_percent)
    limits = msgspec.structs.replace(
        limits,
        max_deletions=_share(limits.max_deletions, settings.shard),
        budget=_share(limits.budget, settings.shard),
    )
    return msgspec.structs.replace(policies, limits=limits)


def _share(total: int | None, shard: tuple[int, int] | None) -> int | None:
    """Give a shard its share of a limit; the shares add up to the whole."""
    if total is None or shard is None:
        return total
    index, count = shard
    return total // count + (1 if index < total % count else 0)


def _report_paths(settings: Settings, on: Ground, run_id: str) -> list[str]:
    """Where reports go: beside the journal of a run that deletes, and where the settings say."""
    if on.folder is None or not (settings.delete or settings.keeps_report):
        return list(settings.reports)
    return [str(on.folder.run_folder(run_id) / "report.jsonl"), *settings.reports]


def _write_down(
    result: RunResult, paths: Iterable[str], journal: Journal | None, clock: Callable[[], datetime]
) -> None:
    """Write all reports that can be written, then the journal's last line, and then say what couldn't be.

    In this order: of a run that is killed before its report is there, the next run tells. It does so too
    where the last line can't be written.
    """
    troubles: list[FileError] = []
    for path in paths:
        try:
            write_report(path, result.report, result.outcomes())
        except FileError as error:
            troubles.append(error)
    if journal is not None:
        with contextlib.suppress(FileError):
            journal.end(clock())
        journal.close()
    if troubles:
        raise FileError("; ".join(error.message for error in troubles))
