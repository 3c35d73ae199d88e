"""``/metrics``: what the last run came to, as in ``.prom`` reports, and what the daemon is at.

Labels are schedules, exit codes and registries: what policy files name, never what registries do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from janitor import __version__
from janitor.core.report import Report
from janitor.reports.prometheus import Sample, Seen, exposition, family
from janitor.serve.board import Standing


def render(
    standing: Standing, report: Report | None, successes: dict[str, datetime], now: datetime
) -> Iterator[str]:
    """Yield all metrics; ``report``: of the last run, ``successes``: when one of each mode last succeeded."""
    yield from family("janitor_build_info", "The version of this program.", [({"version": __version__}, 1)])
    if report is not None:
        yield from exposition(Seen(report=report, successes=successes))
    yield from family(
        "janitor_serve_runs_total",
        "Runs since the daemon began, by schedule and exit code.",
        (
            ({"schedule": name, "exit_code": str(code)}, count)
            for (name, code), count in standing.counts.items()
        ),
        kind="counter",
    )
    yield from family(
        "janitor_serve_schedule_next_timestamp_seconds",
        "When each schedule is due next.",
        _next(standing, now),
    )
    for name, told, value in (
        ("running", "Whether a run is under way.", standing.running is not None),
        ("waiting_schedules", "Schedules that are due and wait for their turn.", len(standing.waiting)),
        ("policies_valid", "Whether the files, as they are now, are in force.", standing.trouble is None),
        (
            "policies_loaded_timestamp_seconds",
            "When the policies in force were read.",
            standing.loaded_at.timestamp(),
        ),
    ):
        yield from family(f"janitor_serve_{name}", told, [({}, float(value))])


def _next(standing: Standing, now: datetime) -> Iterator[Sample]:
    for each in standing.schedules:
        following = each.cron.get_next_fire_time(None, now)
        if following is not None:
            yield {"schedule": each.name}, following.timestamp()
