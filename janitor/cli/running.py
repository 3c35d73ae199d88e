"""A run as commands carry it out: log, signals and progress around it, its report after it."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from janitor import log
from janitor.cli.progress import showing
from janitor.cli.signals import hanging_up, stopping
from janitor.cli.terminal import look, say
from janitor.core.overview import overview, sums
from janitor.core.report import OutcomeKind
from janitor.files.reportset import read_reports
from janitor.inventorying import write_inventory
from janitor.progress import Progress
from janitor.reporting import write_report
from janitor.reports.console import clean, render
from janitor.run import RunResult, run
from janitor.settings import Settings, Stop, check_writable

if TYPE_CHECKING:
    from janitor.undoing import Undone


class Output(NamedTuple):
    """How much is said, and how the log is written."""

    log_format: str = "auto"
    quiet: bool = False
    verbose: bool = False


def carry_out(settings: Settings, output: Output) -> int:
    """Run, show the report on standard output, and give the exit code."""
    with _under_way(output) as (stop, progress):
        result = run(settings, os.environ, stop=stop, clock=clock, progress=progress)
    with contextlib.closing(result):
        show(result, output, now=settings.now)
    return result.exit_code


def show(result: RunResult, output: Output, *, now: datetime | None = None) -> None:
    """Write the report to standard output; ages are told from ``now``, or else from the run's start."""
    how = look(os.environ, verbose=output.verbose, quiet=output.quiet, notes=result.notes)
    now = now or result.report.started_at
    say(
        render(
            result.report,
            result.outcomes(),
            now=now,
            stays=result.stays(),
            look=how,
            counted=result.sums(),
        )
    )


def show_again(saved: Sequence[str], written: Sequence[str], output: Output) -> int:
    """Show saved reports, several as one, after writing them in other forms; give the exit code."""
    log.configure(log.Format(output.log_format), verbose=output.verbose, quiet=output.quiet)
    check_writable(written)
    found = read_reports(saved)
    for path in written:
        write_report(path, found.report, found.outcomes())
    notes = tuple(f"{path} holds no single images, so none are shown" for path in found.without_images)
    how = look(os.environ, verbose=output.verbose, quiet=output.quiet, notes=notes)
    counted = sums(overview(found.report, (), most=0, each=0)) if found.without_images else None
    now = found.report.started_at
    say(render(found.report, found.outcomes(), now=now, look=how, counted=counted))
    return 0


def keep_running(settings: Settings, listen: tuple[str, int], output: Output) -> int:
    """Run by the schedules until a signal stops it, and give the exit code."""
    from janitor.serve.service import Service

    with _under_way(output) as (stop, progress):
        service = Service(settings, listen, os.environ, stop=stop, clock=clock, progress=progress)
        with service as (daemon, address), hanging_up(daemon.ask_to_reload):
            if not output.quiet:
                doing = "deletes" if settings.delete else "dry runs: nothing is deleted without --delete"
                print(f"http://{address}/ shows the runs ({doing})", file=sys.stderr, flush=True)  # noqa: T201  for who starts it
            return daemon.work()


def take_inventory(settings: Settings, path: str, output: Output) -> int:
    """Write an inventory, say how much it is, and give the exit code."""
    with _under_way(output) as (stop, progress):
        result = write_inventory(settings, os.environ, path, stop=stop, clock=clock, progress=progress)
    lines = [
        f"error: {'/'.join(filter(None, (error.registry, error.repository)))}: {error.message}"
        for error in result.errors
    ]
    repositories = "repository" if result.repositories == 1 else "repositories"
    lines.append(f"wrote {result.images:,} images of {result.repositories:,} {repositories} to {path}")
    say(clean(line) + "\n" for line in lines)
    return result.exit_code


def take_back(run_id: str, settings: Settings, output: Output, *, restore: bool) -> int:
    """Show what of a run can come back or put it back, a line each change, and give the exit code."""
    from janitor.undoing import undo

    with _under_way(output) as (stop, progress):
        result = undo(
            run_id, settings, os.environ, restore=restore, stop=stop, clock=clock, progress=progress
        )
    counts = Counter(each.outcome for each in result.changes)
    told = {
        OutcomeKind.RESTORED: "came back",
        OutcomeKind.PLANNED: "can come back",
        OutcomeKind.REFUSED: "can't come back",
        OutcomeKind.FAILED: "could not be put back this time",
    }
    lines = [f"note: {note}" for note in result.notes]
    lines += [
        f"error: {'/'.join(filter(None, (error.registry, error.repository)))}: {error.message}"
        for error in result.errors
    ]
    if not output.quiet:
        lines += [_undone(each, told[each.outcome]) for each in result.changes]
    sums = [f"{counts[kind]:,} {what}" for kind, what in told.items() if counts[kind]]
    lines.append(f"of {run_id}: {', '.join(sums) or 'nothing that could come back'}")
    if not restore and counts[OutcomeKind.PLANNED]:
        lines.append("this only looked; --restore puts it back")
    say(clean(line) + "\n" for line in lines)
    return result.exit_code


def _undone(change: Undone, told: str) -> str:
    intent = change.intent
    tags = intent.remove_tags or intent.tags
    named = f" ({', '.join(tags)})" if tags else ""
    why = f": {change.detail}" if change.detail else ""
    return f"{intent.registry}/{intent.repository}@{intent.digest}{named} {told}{why}"


def clock() -> datetime:
    """Read the clock of this machine, in UTC."""
    return datetime.now(UTC)


@contextlib.contextmanager
def _under_way(output: Output) -> Iterator[tuple[Stop, Progress]]:
    # A run makes millions of values that die by themselves; looking for cycles costs a tenth of it.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    form = log.Format(output.log_format)
    log.configure(form, verbose=output.verbose, quiet=output.quiet)
    stop = Stop()
    with stopping(stop), showing(sys.stderr, quiet=output.quiet, events=log.is_json(form)) as progress:
        yield stop, progress
