r"""The ``.prom`` report: the metrics of a run, for Prometheus.

``METRICS`` is the table of all of them; the file for node_exporter's textfile collector and whoever serves
``/metrics`` write the same. They are gauges of the last run: a scrape finds what is true now, whether the
process lives on or not. Labels are registries and a few words, never repositories: those have no bound.

A file is made by one run and knows of no other. So a run that failed writes no
``janitor_last_success_timestamp_seconds`` at all rather than one that is wrong: what Prometheus has kept of
it stands (``last_over_time``). Who has seen earlier runs hands in when each mode last succeeded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from janitor.core.plan import RepositoryState
from janitor.core.report import Outcome, Report

Labels = Mapping[str, str]
Sample = tuple[Labels, float]

_NONE: Labels = {}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to measure: the last run, and when a run of each mode last succeeded."""

    report: Report
    successes: Mapping[str, datetime]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One gauge: its name with its unit, what it says, and its samples of what was seen."""

    name: str
    help: str
    samples: Callable[[Seen], Iterator[Sample]]


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the metrics of this run; the outcomes are not read."""
    del outcomes
    yield from exposition(Seen(report=report, successes=successes(report)))


def successes(report: Report) -> Mapping[str, datetime]:
    """Tell when its mode succeeded, if it did: a run that did all that it was asked (exit code 0)."""
    return {report.mode: report.finished_at} if report.exit_code == 0 else {}


def exposition(seen: Seen) -> Iterator[str]:
    """Yield all metrics in the text format, version 0.0.4; a metric without a sample is left out."""
    for metric in METRICS:
        yield from family(metric.name, metric.help, metric.samples(seen))


def family(name: str, told: str, samples: Iterable[Sample], *, kind: str = "gauge") -> Iterator[str]:
    """Yield one metric with what it says and its samples; nothing where it has none."""
    lines = [_line(name, labels, value) for labels, value in samples]
    if lines:
        yield f"# HELP {name} {_help(told)}\n# TYPE {name} {kind}\n"
        yield from lines


# --- samples ----------------------------------------------------------------------------------------------


def _of_run(value: Callable[[Report], float]) -> Callable[[Seen], Iterator[Sample]]:
    """One sample, labelled by what the run was for: a dry run deletes nothing, and must not look so."""

    def samples(seen: Seen) -> Iterator[Sample]:
        yield {"mode": seen.report.mode}, value(seen.report)

    return samples


def _by_registry(field: str) -> Callable[[Seen], Iterator[Sample]]:
    """Add a count of repositories up by registry; one that was asked and has none counts 0."""

    def samples(seen: Seen) -> Iterator[Sample]:
        counts = Counter({registry.name: 0 for registry in seen.report.registries})
        for repository in seen.report.repositories:
            counts[repository.registry] += getattr(repository, field)
        for registry, count in counts.items():
            yield {"registry": registry}, count

    return samples


def _succeeded(seen: Seen) -> Iterator[Sample]:
    for mode, at in seen.successes.items():
        yield {"mode": mode}, at.timestamp()


def _repositories(seen: Seen) -> Iterator[Sample]:
    counts = Counter((each.registry, each.state) for each in seen.report.repositories)
    names = dict.fromkeys(each.name for each in seen.report.registries)
    names |= dict.fromkeys(each.registry for each in seen.report.repositories)
    for name in names:
        for state in RepositoryState:
            yield {"registry": name, "state": state.value}, counts[name, state]


def _requests(seen: Seen) -> Iterator[Sample]:
    for registry in seen.report.registries:
        for purpose, count in msgspec.structs.asdict(registry.requests).items():
            yield {"registry": registry.name, "purpose": purpose}, count


def _retries(seen: Seen) -> Iterator[Sample]:
    for registry in seen.report.registries:
        yield {"registry": registry.name}, registry.retries


def _unread(seen: Seen) -> Iterator[Sample]:
    yield _NONE, sum(source.error is not None for source in seen.report.in_use.sources)


METRICS = (
    Metric(
        name="janitor_last_run_timestamp_seconds",
        help="When the last run began.",
        samples=_of_run(lambda report: report.started_at.timestamp()),
    ),
    Metric(
        name="janitor_last_success_timestamp_seconds",
        help="When the last run that did all that it was asked (exit code 0) ended.",
        samples=_succeeded,
    ),
    Metric(
        name="janitor_last_run_duration_seconds",
        help="How long the last run took.",
        samples=_of_run(lambda report: (report.finished_at - report.started_at).total_seconds()),
    ),
    Metric(
        name="janitor_last_run_exit_code",
        help="The exit code of the last run: 0 done, 1 something failed, 3 something was stopped.",
        samples=_of_run(lambda report: report.exit_code),
    ),
    Metric(
        name="janitor_last_run_errors",
        help="Errors of the last run, of registries and repositories that could not be read too.",
        samples=_of_run(lambda report: len(report.errors)),
    ),
    Metric(
        name="janitor_last_run_repositories",
        help="Repositories of the last run; limited: a limit or an unread source of use stopped them.",
        samples=_repositories,
    ),
    Metric(
        name="janitor_last_run_images",
        help="Images that the last run found.",
        samples=_by_registry("images"),
    ),
    Metric(
        name="janitor_last_run_remaining_images",
        help="Images that were left after the last run, or would have been.",
        samples=_by_registry("remaining"),
    ),
    Metric(
        name="janitor_last_run_planned_images",
        help="Images of which the last run planned something.",
        samples=_by_registry("planned"),
    ),
    Metric(
        name="janitor_last_run_deleted_images",
        help="Images that the last run deleted.",
        samples=_by_registry("deleted"),
    ),
    Metric(
        name="janitor_last_run_failed_images",
        help="Images that the last run failed to delete, untag or archive.",
        samples=_by_registry("failed"),
    ),
    Metric(
        name="janitor_last_run_refused_images",
        help="Images that their registry refused to delete for good.",
        samples=_by_registry("refused"),
    ),
    Metric(
        name="janitor_last_run_skipped_images",
        help="Images that the last run planned and left: they drifted, or it was stopped.",
        samples=_by_registry("skipped"),
    ),
    Metric(
        name="janitor_last_run_untagged_images",
        help="Images that lost tags in the last run.",
        samples=_of_run(lambda report: report.totals.untagged),
    ),
    Metric(
        name="janitor_last_run_archived_images",
        help="Images that the last run moved to the archive.",
        samples=_of_run(lambda report: report.totals.archived),
    ),
    Metric(
        name="janitor_last_run_planned_bytes",
        help="Sizes of the images that the last run planned to delete; at most that much, layers are shared.",
        samples=_of_run(lambda report: report.totals.planned_bytes),
    ),
    Metric(
        name="janitor_last_run_deleted_bytes",
        help="Sizes of the images that the last run deleted; at most that much, layers are shared.",
        samples=_of_run(lambda report: report.totals.deleted_bytes),
    ),
    Metric(
        name="janitor_last_run_requests",
        help="Requests that the last run sent, by what they were for; retries are counted in them.",
        samples=_requests,
    ),
    Metric(
        name="janitor_last_run_request_retries",
        help="Requests that the last run sent again.",
        samples=_retries,
    ),
    Metric(
        name="janitor_last_run_unread_sources",
        help="Sources of what is in use that could not be read; any stops all deletions.",
        samples=_unread,
    ),
)


# --- the text format --------------------------------------------------------------------------------------


def _line(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
    return f"{name}{{{told}}} {_number(value)}\n" if told else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
