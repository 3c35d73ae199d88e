"""The pages that people look at: what is scheduled, runs and ran; no script, and nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from janitor.core.legible import number
from janitor.core.overview import DELETING, verdict
from janitor.core.report import Report
from janitor.core.units import format_duration, format_size
from janitor.reports.html import STYLE, content_policy, name, words
from janitor.serve.board import Running, Standing
from janitor.serve.history import Entry

# Runs that the page shows; /api/runs has them all.
_SHOWN = 100
_LIMITED, _SIGNAL = 3, 128
_STYLE = STYLE + Path(__file__).with_name("page.css").read_text(encoding="utf-8")
POLICY = f"{content_policy(_STYLE)}; frame-ancestors 'none'"
"""The Content-Security-Policy of these pages, for the header."""


def overview(standing: Standing, entries: Sequence[Entry], now: datetime) -> str:
    """The first page."""
    return "".join(_overview(standing, entries, now))


def single(entry: Entry, running: Running | None) -> str:
    """The page of a run that has no report."""
    return "".join(_single(entry, running))


def message(title: str, text: str) -> str:
    """A page that says one thing."""
    return "".join((*_head(title), f"</div>\n</header>\n<main><p>{words(text)}</p></main>\n", _FOOT))


def _overview(standing: Standing, entries: Sequence[Entry], now: datetime) -> Iterator[str]:
    yield from _head("Registry janitor")
    yield _mode(standing.delete)
    yield f'</div>\n<p class="verdict {_tone(standing)}">{_state(standing, now)}</p>\n'
    files = ", ".join(map(name, standing.files[:3]))
    more = f" and {len(standing.files) - 3} more" if len(standing.files) > 3 else ""  # noqa: PLR2004 - three fit
    yield '<dl class="facts">'
    yield f"<div><dt>policies</dt><dd>{files}{more}</dd></div>"
    yield f"<div><dt>in force since</dt><dd>{_moment(standing.loaded_at)}</dd></div>"
    yield "</dl>\n</header>\n<main>\n"
    if standing.trouble is not None and standing.trouble_at is not None:
        yield '<section class="card bad"><h2>The policy files as they are now can’t be used</h2>\n'  # noqa: RUF001 - for people
        yield f'<p class="small">Read {_moment(standing.trouble_at)}; those from before stay in force.</p>\n'
        yield f"<pre>{html.escape(standing.trouble)}</pre></section>\n"
    yield from _schedules(standing, now)
    yield from _runs(standing, entries)
    yield "</main>\n"
    yield _FOOT


def _head(title: str) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n'
    yield f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n"
    yield f'<div class="line"><h1>{html.escape(title)}</h1>'


_FOOT = (
    '<footer><p><a href="/">Runs</a> · <a href="/api/runs">as JSON</a> · <a href="/metrics">metrics</a></p>'
    "</footer>\n</body>\n</html>\n"
)


def _mode(delete: bool) -> str:  # noqa: FBT001  a word for a fact
    if delete:
        return '<span class="badge delete">deletes</span>'
    return '<span class="badge">dry runs: nothing is deleted</span>'


def _state(standing: Standing, now: datetime) -> str:
    running = standing.running
    if standing.stopping:
        return "Stopping"
    if running is not None:
        stage = f": {words(running.stage)}" if running.stage else ""
        waiting = f"; {number(len(standing.waiting), 'schedule')} due after it" if standing.waiting else ""
        return f"A run is under way since {_moment(running.started_at)}{stage}{waiting}"
    following = [each.cron.get_next_fire_time(None, now) for each in standing.schedules]
    times = [time for time in following if time is not None]
    return f"Waiting for {_moment(min(times))}, {_until(min(times), now)}" if times else "Waiting"


def _tone(standing: Standing) -> str:
    if standing.trouble is not None:
        return "bad"
    return "hold" if standing.stopping else "good"


def _schedules(standing: Standing, now: datetime) -> Iterator[str]:
    yield '<section class="card"><h2>Schedules</h2>\n<table class="grid plan">\n<thead><tr>'
    yield "<th>When</th><th>Covers</th><th>Next</th><th></th></tr></thead>\n<tbody>\n"
    for each in standing.schedules:
        schedule = each.schedule
        narrowed = [("registry", text) for text in schedule.registries]
        narrowed += [("repository", text) for text in schedule.repositories]
        covers = ", ".join(f"{word} {name(text)}" for word, text in narrowed) or "all that the policies cover"
        following = each.cron.get_next_fire_time(None, now)
        yield f"<tr><td>{name(schedule.cron)} {words(schedule.timezone)}</td><td>{covers}</td>"
        yield f'<td class="when" data-is="next">{_there(following, schedule.timezone)}</td>'
        yield f'<td class="num soft">{_until(following, now) if following else ""}</td></tr>\n'
    yield "</tbody></table></section>\n"


def _runs(standing: Standing, entries: Sequence[Entry]) -> Iterator[str]:
    yield '<section class="card"><h2>Runs</h2>\n'
    if not entries:
        yield '<p class="soft">Nothing ran yet.</p></section>\n'
        return
    yield '<table class="grid runs">\n<thead><tr><th>Began</th><th>Schedule</th><th>Outcome</th>'
    yield '<th class="num">Images</th><th class="num">Planned</th><th class="num">Deleted</th>'
    yield '<th class="num">Freed, at most</th></tr></thead>\n<tbody>\n'
    for entry in entries[:_SHOWN]:
        yield _row(entry, standing.running)
    yield "</tbody></table>\n"
    if len(entries) > _SHOWN:
        yield f'<p class="small soft">and {len(entries) - _SHOWN:,} earlier</p>\n'
    yield "</section>\n"


def _row(entry: Entry, running: Running | None) -> str:
    kind, says = _outcome(entry, running)
    totals = entry.totals
    counts = ["", "", "", ""]
    if totals is not None:
        deleting = entry.mode == DELETING
        counts = [
            f"{totals.images:,}",
            f"{totals.planned:,}",
            f"{totals.deleted:,}" if deleting else "",
            format_size(totals.deleted_bytes if deleting else totals.planned_bytes),
        ]
    heads = ("images", "planned", "deleted", "freed")
    cells = "".join(
        f'<td class="num" data-is="{head}">{value}</td>' for head, value in zip(heads, counts, strict=True)
    )
    by = name(entry.schedule) if entry.schedule is not None else '<span class="soft">by hand</span>'
    return (
        f'<tr><td class="when"><a href="/runs/{html.escape(entry.run_id)}">{_moment(entry.started_at)}</a>'
        f' <span class="soft small">{_took(entry)}</span></td><td>{by}</td>'
        f'<td><span class="verdict {kind}">{says}</span></td>{cells}</tr>\n'
    )


def _outcome(entry: Entry, running: Running | None) -> tuple[str, str]:
    """The tone, and a word or two."""
    if running is not None and running.run_id == entry.run_id:
        return "good", "under way"
    match entry.exit_code:
        case None:
            return "bad", "broken off"
        case 0:
            return "good", "done" if entry.mode == DELETING else "dry run"
        case code if code == _LIMITED:
            return "hold", "limited"
        case code if code >= _SIGNAL:
            return "hold", "interrupted"
    return "bad", f"failed ({entry.exit_code})"


def _single(entry: Entry, running: Running | None) -> Iterator[str]:
    kind, says = _outcome(entry, running)
    yield from _head(f"Run of {entry.started_at:%Y-%m-%d %H:%M}")
    yield _mode(entry.mode == DELETING)
    yield f'</div>\n<p class="verdict {kind}">{html.escape(_sentence(entry, says))}</p>\n</header>\n<main>\n'
    yield '<section class="card"><dl class="facts">'
    facts = [("run", name(entry.run_id)), ("began", _moment(entry.started_at)), ("took", _took(entry))]
    if entry.schedule is not None:
        facts.append(("schedule", name(entry.schedule)))
    if entry.exit_code is not None:
        facts.append(("exit code", str(entry.exit_code)))
    if running is not None and running.run_id == entry.run_id and running.stage:
        facts.append(("now", words(running.stage)))
    for term, fact in facts:
        yield f"<div><dt>{term}</dt><dd>{fact or '–'}</dd></div>"  # noqa: RUF001 - for people
    yield "</dl></section>\n"
    if entry.error is not None:
        yield f'<section class="card bad"><h2>Why</h2><pre>{html.escape(entry.error)}</pre></section>\n'
    yield "</main>\n"
    yield _FOOT


def _sentence(entry: Entry, says: str) -> str:
    if entry.error is not None:
        return "It ended without a report"
    if entry.exit_code is None or entry.finished_at is None:
        return says[:1].upper() + says[1:]
    told = verdict(
        Report(
            run_id=entry.run_id,
            mode=entry.mode,
            started_at=entry.started_at,
            finished_at=entry.finished_at,
            exit_code=entry.exit_code,
        )
    )
    return told[:1].upper() + told[1:]


def _moment(time: datetime) -> str:
    return f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{time:%Y-%m-%d %H:%M} UTC</time>'


def _took(entry: Entry) -> str:
    return "" if entry.finished_at is None else format_duration(_round(entry.finished_at - entry.started_at))


def _there(time: datetime | None, timezone: str) -> str:
    """A time as the clocks of a place show it."""
    if time is None:
        return "never"
    there = time.astimezone(ZoneInfo(timezone))
    return f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{there:%a %Y-%m-%d %H:%M} {there:%Z}</time>'


def _until(time: datetime, now: datetime) -> str:
    """How long it is until then, in its two largest units."""
    minutes = round((time - now) / timedelta(minutes=1))
    if minutes <= 0:
        return "now"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count]
    return f"in {' '.join(parts[:2])}"


def _round(span: timedelta) -> timedelta:
    return timedelta(seconds=max(1, round(span.total_seconds())))
