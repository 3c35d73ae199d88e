"""The tables of the page: repositories, and the images of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from janitor.core.legible import number, short
from janitor.core.overview import DELETING, Corner, Overview
from janitor.core.plan import RepositoryState
from janitor.core.report import Outcome, OutcomeKind, Report
from janitor.core.units import format_size
from janitor.reports.html.charts import Part, bar
from janitor.reports.html.markup import name, words
from janitor.reports.lines import Room

# Bytes of each table.
_REPOSITORIES, _IMAGES = 400_000, 1_000_000
# Repositories whose images are open at once; of more, each is opened by those who want it.
_OPEN = 3
_TAGS = 4
# Ages are told in hours until they have lasted so many, then in days.
_HOURS = 48

_BAD = {OutcomeKind.FAILED: "bad", OutcomeKind.REFUSED: "hold", OutcomeKind.SKIPPED: "hold"}


def repositories(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    """Yield the table of all repositories of which something was planned, or that were stopped."""
    told = seen.largest()
    if not told:
        return
    deleting = report.mode == DELETING
    heads = ("images", "deleted" if deleting else "would go", "at most", "changed", "not done", "left")
    yield '<section class="card"><h2>Repositories</h2>\n<div class="scroll">'
    yield '<table class="grid repositories">\n<thead><tr>'
    yield '<th scope="col">repository</th><th class="mix"></th>'
    yield "".join(f'<th scope="col" class="num">{head}</th>' for head in heads)
    yield "</tr></thead>\n<tbody>\n"
    room = Room(_REPOSITORIES)
    yield from room.fitting(_repository(each, heads, listed=seen.listed) for each in told)
    yield "</tbody></table></div>\n"
    quiet = len(seen.corners) - len(told)
    if quiet:
        others = number(quiet, "more repository", "more repositories")
        yield f'<p class="small soft">In {others} nothing goes.</p>'
    yield "</section>\n"
    if room.left:
        left.append(number(room.left, "repository", "repositories"))


def _repository(corner: Corner, heads: Sequence[str], *, listed: bool) -> str:
    one = corner.report
    stays = max(one.images - corner.goes - corner.changed - corner.undone, 0)
    mix = bar(
        (
            Part("go", corner.goes, number(corner.goes, "image")),
            Part("hold", corner.undone, f"{number(corner.undone, 'image')} not done"),
            Part("change", corner.changed, f"{number(corner.changed, 'image')} untagged or archived"),
            Part("stay", stays, f"{number(stays, 'image')} stay"),
        ),
        max(one.images, corner.images),
        height=8,
    )
    size = format_size(corner.size) if corner.goes and listed else ""
    counts = (
        f"{one.images:,}",
        f"{corner.goes:,}",
        size,
        f"{corner.changed:,}" if corner.changed else "",
        f"{corner.undone:,}" if corner.undone else "",
        f"{one.remaining:,}",
    )
    # Where there is no room for columns, each number is told by its own words.
    cells = "".join(
        f'<td class="num" data-is="{head}">{count}</td>' for head, count in zip(heads, counts, strict=True)
    )
    title = name(f"{one.registry}/{one.repository}")
    return f'<tr><th scope="row">{title}{_why(corner)}</th><td class="mix">{mix}</td>{cells}</tr>\n'


def _why(corner: Corner) -> str:
    match corner.report.state:
        case RepositoryState.LIMITED:
            return f'<div class="why">stopped: {words(corner.why) or "nothing is done here"}</div>'
        case RepositoryState.FAILED:
            return f'<div class="why bad">not read: {words(corner.why) or "nothing is done here"}</div>'
    return ""


def images(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    """Yield the images of each repository, those that were not done first."""
    told = [each for each in seen.largest() if each.shown or each.left]
    if not told:
        return
    yield '<section class="card"><h2>Images</h2>\n'
    room = Room(_IMAGES)
    shown = 0
    for place, corner in enumerate(told):
        kept = [*corner.left, *corner.shown]
        whole = _of_one(report, corner, kept, is_open=place < _OPEN and len(told) <= _OPEN)
        for piece in room.fitting([whole]):
            shown += len(kept)
            yield piece
    yield "</section>\n"
    if seen.total.images > shown:
        left.append(number(seen.total.images - shown, "image"))


def _of_one(report: Report, corner: Corner, kept: list[Outcome], *, is_open: bool) -> str:
    one = corner.report
    more = corner.images - len(kept)
    counted = number(corner.images, "image") + (f", {len(kept):,} of them shown" if more else "")
    rows = "".join(_image(report, corner, each) for each in kept)
    return (
        f"<details{' open' if is_open else ''}><summary>{name(f'{one.registry}/{one.repository}')} "
        f'<span class="soft small">{counted}</span></summary>\n'
        '<div class="scroll"><table class="grid images"><thead><tr><th scope="col">image</th>'
        '<th scope="col"></th><th scope="col" class="num">age</th><th scope="col" class="num">size</th>'
        f'<th scope="col">why</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div></details>\n'
    )


def _image(report: Report, corner: Corner, outcome: Outcome) -> str:
    action = outcome.action
    # Signatures have tags that are digests; of these, too, the beginning is enough.
    names = ", ".join(name(short(tag)) for tag in action.tags[:_TAGS] or (action.digest,))
    if len(action.tags) > _TAGS:
        names += f' <span class="soft">+{len(action.tags) - _TAGS}</span>'
    if action.remove_tags is not UNSET:
        names += f'<div class="soft small">loses {", ".join(map(name, action.remove_tags[:_TAGS]))}</div>'
    planned = outcome.outcome is OutcomeKind.PLANNED
    stopped = planned and (report.mode == DELETING or corner.report.state is not RepositoryState.OK)
    word = ("stopped" if stopped else action.action.value) if planned else outcome.outcome.value
    tone = "hold" if stopped else _BAD.get(outcome.outcome, "go")
    size = "?" if action.size_bytes is None else format_size(action.size_bytes)
    # What stops a repository stands at its name already.
    detail = f'<div class="why">{words(outcome.detail)}</div>' if outcome.detail and not planned else ""
    # Most reasons begin with the rule.
    rules = [name(rule) for rule in action.rules if rule not in action.reason]
    why = f'{words(action.reason)} <span class="soft">{", ".join(rules)}</span>{detail}'
    return (
        f'<tr><td>{names}</td><td class="word {tone}">{word}</td><td class="num">{_age(report, outcome)}</td>'
        f'<td class="num">{size}</td><td>{why}</td></tr>\n'
    )


def _age(report: Report, outcome: Outcome) -> str:
    pushed = outcome.action.pushed_at
    if pushed is None:
        return ""
    hours = max(int((report.started_at - pushed).total_seconds()), 0) // 3600
    if hours >= _HOURS:
        return f"{hours // 24}d"
    return f"{hours}h" if hours else "&lt;1h"
