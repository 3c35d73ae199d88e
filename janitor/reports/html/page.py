"""The page from top to bottom: what happened, what went wrong, the charts, the tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from datetime import timedelta

from janitor.core.legible import number
from janitor.core.overview import (
    AGES,
    DELETING,
    UNDONE,
    Fate,
    Overview,
    Share,
    headline,
    overview,
    verdict,
)
from janitor.core.report import NOTIFY, ErrorReport, Outcome, Report
from janitor.core.units import format_duration, format_size, format_time
from janitor.reports.html.charts import Bar, Column, Part, bar, bars, columns
from janitor.reports.html.markup import STYLE, content_policy, name, words
from janitor.reports.html.tables import images, repositories
from janitor.reports.lines import Room

# Single images that are kept for the page, and of one repository.
_MOST, _EACH = 1000, 50
# Bars of a chart; the rest is one more.
_BARS = 12
# Bytes of errors, and of what is said of use; with the tables' they are less than two million.
_ERRORS, _USE = 150_000, 100_000
# An exit code above it is a signal's number on top of it.
_SIGNAL = 128
_LIMITED = 3


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the page in pieces; the outcomes are read once, after the head."""
    yield from _head(report)
    seen = overview(report, outcomes, most=_MOST, each=_EACH)
    left: list[str] = []
    yield from _tiles(report, seen)
    yield from _notices(report, left)
    yield from _charts(report, seen)
    yield from repositories(report, seen, left)
    yield from _use(report, left)
    yield from images(report, seen, left)
    yield from _foot(report, seen, left)


def _head(report: Report) -> Iterator[str]:
    title = f"Registry clean-up, {report.started_at:%Y-%m-%d %H:%M}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{content_policy(STYLE)}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n"
    badge = '<span class="badge delete">deletion</span>' if report.mode == DELETING else _DRY
    yield f'<div class="line"><h1>Registry clean-up</h1>{badge}</div>\n'
    yield f'<p class="verdict {_tone(report)}">{html.escape(_sentence(verdict(report)))}</p>\n'
    yield '<dl class="facts">\n'
    for term, fact in _facts(report):
        yield f"<div><dt>{term}</dt><dd>{fact}</dd></div>\n"
    yield "</dl>\n</header>\n<main>\n"


_DRY = '<span class="badge">dry run: nothing was deleted</span>'


def _tone(report: Report) -> str:
    if report.exit_code == 0:
        return "good"
    return "hold" if report.exit_code == _LIMITED else "bad"


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "Run", name(report.run_id)
    yield (
        "began",
        format_time(report.started_at.replace(microsecond=0)).replace("T", " ").replace("Z", " UTC"),
    )
    took = report.finished_at - report.started_at
    yield "took", format_duration(timedelta(seconds=round(took.total_seconds()))) if took else "no time"
    yield "exit code", str(report.exit_code)
    if report.policies:
        more = f" and {len(report.policies) - 3} more" if len(report.policies) > 3 else ""  # noqa: PLR2004 - three fit
        yield "policies", ", ".join(map(name, report.policies[:3])) + more


# --- numbers ----------------------------------------------------------------------------------------------


def _tiles(report: Report, seen: Overview) -> Iterator[str]:
    total, deleting = seen.total, report.mode == DELETING
    stays = max(report.totals.images - total.goes, 0)
    yield f'<section class="card"><p class="lead">{headline(report, total)}.</p>\n'
    parts = [
        Part("go", total.goes, f"{number(total.goes, 'image')} {'deleted' if deleting else 'would go'}"),
        Part("hold", total.undone, f"{number(total.undone, 'image')} planned and not done"),
        Part("change", total.changed, f"{number(total.changed, 'image')} untagged or archived"),
    ]
    rest = stays - total.undone - total.changed
    parts.append(Part("stay", rest, f"{number(rest, 'image')} {'stay' if deleting else 'would stay'}"))
    yield bar(parts, report.totals.images, height=18)
    yield '\n<ul class="legend">'
    for part in parts:
        if part.amount:
            yield f'<li class="key {part.kind}">{part.says}</li>'
    yield '</ul></section>\n<div class="tiles">\n'
    yield _tile("go", f"{total.goes:,}", f"images {'deleted' if deleting else 'would go'}")
    size = format_size(total.size) + (" + ?" if total.unsized else "")
    yield _tile("go", size, f"{'freed' if deleting else 'would be freed'}, at most")
    yield _tile("stay", f"{stays:,}", "images stay" if deleting else "images would stay")
    for fate, (kind, says) in _FATES.items():
        if seen.fates[fate]:
            yield _tile(kind, f"{seen.fates[fate]:,}", says)
    yield "</div>\n"


_FATES = {
    Fate.UNTAGGED: ("change", "lose tags, and stay"),
    Fate.ARCHIVED: ("change", "to the archive"),
    Fate.STOPPED: ("hold", "stopped"),
    Fate.SKIPPED: ("hold", "skipped"),
    Fate.REFUSED: ("hold", "refused by the registry"),
    Fate.FAILED: ("bad", "failed"),
}


def _tile(kind: str, value: str, says: str) -> str:
    return f'<div class="tile {kind}"><b>{value}</b><span>{says}</span></div>\n'


# --- what went wrong --------------------------------------------------------------------------------------


def _notices(report: Report, left: list[str]) -> Iterator[str]:
    asides = [f"<li>{_error(each)}</li>\n" for each in report.errors if each.code == NOTIFY]
    errors = [f"<li>{_error(each)}</li>\n" for each in report.errors if each.code != NOTIFY]
    unread = [
        f"<li>{name(each.source)}: {words(each.error)}</li>\n"
        for each in report.in_use.sources
        if each.error is not None
    ]
    room = Room(_ERRORS)
    yield from _notice("bad", "Errors", errors, room)
    yield from _notice("hold", "What is in use isn’t known, so nothing may go", unread, room)  # noqa: RUF001 - for people
    yield from _notice("hold", "Nobody could be told", asides, room)
    if room.left:
        left.append(number(room.left, "error"))


def _notice(kind: str, title: str, lines: list[str], room: Room) -> Iterator[str]:
    if lines:
        yield f'<section class="card {kind}"><h2>{title}</h2>\n<ul>\n'
        yield from room.fitting(lines)
        yield "</ul></section>\n"


def _error(error: ErrorReport) -> str:
    place = "/".join(filter(None, (error.registry, error.repository)))
    return f"{name(place)}: {words(error.message)}" if place else words(error.message)


# --- charts -----------------------------------------------------------------------------------------------


def _charts(report: Report, seen: Overview) -> Iterator[str]:
    """Yield them in two columns that are about as long, whether ages are known or not."""
    ages, rules, stays = list(_ages(report, seen)), list(_rules(report, seen)), list(_unselected(report))
    yield '<div class="pair">\n<div>\n'
    yield from _freed(report, seen)
    yield from rules if ages else stays
    yield "</div>\n<div>\n"
    yield from [*ages, *stays] if ages else rules
    yield "</div>\n</div>\n"


def _freed(report: Report, seen: Overview) -> Iterator[str]:
    """By bytes, or by images where no sizes are known."""
    verb = "was freed" if report.mode == DELETING else "would be freed"
    sized = seen.listed and seen.total.size > 0
    going = [each for each in seen.largest() if each.goes]
    if not going:
        return
    rows = [
        _going_bar(name(f"{each.report.registry}/{each.report.repository}"), each, sized=sized)
        for each in going[:_BARS]
    ]
    rest = Share()
    for each in going[_BARS:]:
        rest.goes += each.goes
        rest.size += each.size
    if rest.goes:
        others = number(len(going) - _BARS, "other repository", "other repositories")
        rows.append(_going_bar(f'<span class="soft small">{others}</span>', rest, sized=sized))
    note = "Sums of sizes: images share layers, so that less may be freed." if sized else "By images."
    yield from _card(f"What {verb}, by repository", note, bars(rows))


def _going_bar(label: str, share: Share, *, sized: bool) -> Bar:
    amount = share.size if sized else share.goes
    counted = number(share.goes, "image")
    value = format_size(share.size) if sized else counted
    return Bar(label, [Part("go", amount, f"{counted}, {value}" if sized else counted)], value)


def _ages(report: Report, seen: Overview) -> Iterator[str]:
    if not any(share.images for share in seen.ages[:-1]):
        return  # the registry records no pushes, or the report holds no images
    verb = "went" if report.mode == DELETING else "would go"
    shown = [
        Column(
            label,
            (
                Part("go", share.goes, f"{number(share.goes, 'image')} {verb}"),
                Part("change", share.changed, f"{number(share.changed, 'image')} untagged or archived"),
                Part("hold", share.undone, f"{number(share.undone, 'image')} not done"),
            ),
            f"{share.images:,}" if share.images else "",
        )
        for (label, _), share in zip(AGES, seen.ages, strict=True)
    ]
    told = ", ".join(f"{column.label}: {column.value}" for column in shown if column.value)
    note = "Time since the push of all images of which something was planned; ? is where none is recorded."
    total = seen.total
    kinds = (("go", total.goes, verb), ("change", total.changed, "untagged or archived"))
    keys = "".join(
        f'<li class="key {kind}">{says}</li>'
        for kind, count, says in (*kinds, ("hold", total.undone, "planned, and stays"))
        if count
    )
    yield from _card(
        "Ages", note, columns(shown, f"Images by age. {told}"), f'<ul class="legend">{keys}</ul>'
    )


def _rules(report: Report, seen: Overview) -> Iterator[str]:
    verb = "deleted" if report.mode == DELETING else "would go"
    busiest = seen.busiest()
    if not busiest:
        return
    rows = [_rule_bar(name(rule), share, verb) for rule, share in busiest[:_BARS]]
    rest = Share()
    for _, share in busiest[_BARS:]:
        rest.goes += share.goes
        rest.size += share.size
        rest.changed += share.changed
        rest.undone += share.undone
    if rest.images:
        others = number(len(busiest) - _BARS, "other rule")
        rows.append(_rule_bar(f'<span class="soft small">{others}</span>', rest, verb))
    note = "Images that each rule takes; one that several rules take counts for each."
    yield from _card("What each rule does", note, bars(rows))


def _rule_bar(label: str, share: Share, verb: str) -> Bar:
    parts = (
        Part("go", share.goes, f"{number(share.goes, 'image')} {verb}, {format_size(share.size)} at most"),
        Part("change", share.changed, f"{number(share.changed, 'image')} untagged or archived"),
        Part("hold", share.undone, f"{number(share.undone, 'image')} not done"),
    )
    return Bar(label, parts, number(share.images, "image"))


def _unselected(report: Report) -> Iterator[str]:
    found = sorted(report.unselected, key=lambda each: -each.images)
    if not found:
        return
    rows = [
        Bar(
            name(each.pattern),
            [Part("stay", each.images, number(each.images, "image"))],
            number(each.images, "image"),
        )
        for each in found[:_BARS]
    ]
    rest = sum(each.images for each in found[_BARS:])
    if rest:
        others = number(len(found) - _BARS, "other kind of tag", "other kinds of tags")
        rows.append(
            Bar(f'<span class="soft small">{others}</span>', [Part("stay", rest, "")], number(rest, "image"))
        )
    note = "Images that only the lack of a rule keeps, by what their tags look like."
    yield from _card("What stays because no rule selects it", note, bars(rows))


def _card(title: str, note: str, *body: Iterable[str]) -> Iterator[str]:
    yield f'<section class="card"><h2>{title}</h2>\n<p class="small soft">{note}</p>\n<div>'
    for each in body:
        yield from each if not isinstance(each, str) else (each,)
    yield "</div></section>\n"


# --- the rest ---------------------------------------------------------------------------------------------


def _use(report: Report, left: list[str]) -> Iterator[str]:
    used = report.in_use
    lines = [
        f"<li>{name(each.source)}: {number(each.references, 'reference')}</li>\n"
        for each in used.sources
        if each.error is None
    ]
    lines += [f"<li>{name(each)} is in use, but was not found</li>\n" for each in used.not_found]
    if not lines:
        return
    room = Room(_USE)
    yield '<section class="card"><h2>In use</h2>\n<ul>\n'
    yield from room.fitting(lines)
    yield "</ul></section>\n"
    if room.left:
        left.append(number(room.left, "line on what is in use", "lines on what is in use"))


def _foot(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    yield "</main>\n<footer>\n"
    if not seen.listed and any(seen.fates[fate] for fate in (Fate.GOES, *UNDONE)):
        yield "<p>This was made from a .json report, which holds no single images, their ages or rules.</p>\n"
    if left:
        yield f"<p>Left out here: {', '.join(left)}. The .jsonl report has everything.</p>\n"
    for registry in report.registries:
        asked = registry.requests
        yield (
            f"<p>{name(registry.name)} ({words(registry.provider)}): {asked.list:,} requests to list, "
            f"{asked.delete:,} to delete, {asked.other:,} other; {registry.retries:,} of them retries</p>\n"
        )
    yield "</footer>\n</body>\n</html>\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
