"""The ``.md`` report: what a step summary of GitHub, a merge request or a wiki shows.

It stays below the million bytes that a step summary may have (1 MiB, less something for other steps),
whatever the size of the plan: each part has a share, and what didn't fit is counted at the end. Names come
from registries: nothing of them is markup, a link or a mention to whoever shows the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from janitor.core.legible import clean, cut, number, short
from janitor.core.overview import Corner, Fate, Overview, headline, overview, verdict
from janitor.core.plan import RepositoryState
from janitor.core.report import ErrorReport, Outcome, Report, Unselected, UseSource
from janitor.core.units import format_size, format_time
from janitor.reports.lines import Room

MOST_BYTES = 1_000_000
"""Of the whole report; it is always shorter."""

# Bytes of each part; together with the head they are less than the whole.
_ERRORS, _REPOSITORIES, _RULES, _OTHER, _IMAGES = 150_000, 200_000, 100_000, 50_000, 400_000
# Single images that are shown, and of one repository; nobody reads on.
_MOST, _EACH = 1000, 50
# Characters of a name, and of a sentence, that are shown.
_NAME, _SENTENCE = 200, 400
_TAGS = 3

# A word of letters, digits and these can't be taken for anything but text.
_PLAIN = re.compile(r"[A-Za-z0-9%(),.;:/'+=-]*")
# Takes part in nothing that Markdown, HTML, GitHub or GitLab do to text.
_HARMLESS = re.compile(r"[^A-Za-z0-9 ,;()%/'+=.…-]")


class _Part(NamedTuple):
    """A part of the page: ``room`` in bytes, and what one line and several are called."""

    title: str
    head: Sequence[str]
    room: int
    what: tuple[str, str]

    def of(self, lines: Iterable[str], left: list[str]) -> Iterator[str]:
        """Yield the part as far as its room allows, and write down how much was left out."""
        room = Room(self.room)
        begun = False
        for line in room.fitting(lines):
            if not begun:
                yield f"\n## {self.title}\n\n"
                yield from self.head
                begun = True
            yield line
        if room.left:
            left.append(number(room.left, *self.what))


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the page, a line or more at a time."""
    yield from _head(report)
    seen = overview(report, outcomes, most=_MOST, each=_EACH)
    yield from _sums(report, seen)
    left: list[str] = []
    parts: Sequence[Callable[[Report, Overview, list[str]], Iterator[str]]] = (
        _errors,
        _repositories,
        _rules,
        _unselected,
        _in_use,
        _images,
    )
    for part in parts:
        yield from part(report, seen, left)
    if left:
        yield f"\n*Left out here: {', '.join(left)}. The `.jsonl` report has everything.*\n"


def _head(report: Report) -> Iterator[str]:
    mode = "deletion" if report.mode == "delete" else "dry run"
    yield f"# Registry clean-up: {mode}\n\n"
    yield f"{_text(verdict(report).capitalize())}.\n\n"
    began, ended = (format_time(at.replace(microsecond=0)) for at in (report.started_at, report.finished_at))
    yield f"Run {_name(report.run_id)}, {began} to {ended}, exit code {report.exit_code}\n"


def _sums(report: Report, seen: Overview) -> Iterator[str]:
    yield f"\n**{headline(report, seen.total)}**"
    yield " (layers are shared)\n" if seen.total.goes else "\n"
    if report.mode != "delete":
        yield "\nNothing was deleted.\n"
    told = [(fate, count) for fate, count in seen.fates.items() if count and fate is not Fate.GOES]
    for fate, count in told:
        yield f"{'' if fate is not told[0][0] else chr(10)}- {number(count, 'image')} {_WORDS[fate]}\n"


_WORDS = {
    Fate.UNTAGGED: "to lose tags, or without them now",
    Fate.ARCHIVED: "to move to the archive, or moved",
    Fate.STOPPED: "stopped, by a limit, an interrupt or what could not be read",
    Fate.FAILED: "failed",
    Fate.REFUSED: "refused by the registry",
    Fate.SKIPPED: "skipped",
}


def _errors(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    del seen
    lines = [f"- {_error(each)}\n" for each in report.errors]
    part = _Part("Errors", (), _ERRORS, ("error", "errors"))
    yield from part.of(lines, left)


def _error(error: ErrorReport) -> str:
    place = "/".join(filter(None, (error.registry, error.repository)))
    return f"{_name(place)}: {_text(error.message)}" if place else _text(error.message)


def _repositories(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    verb = "deleted" if report.mode == "delete" else "would go"
    head = (
        f"| repository | images | {verb} | at most | changed | not done | |\n",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
    )
    lines = (_repository(each, listed=seen.listed) for each in seen.largest())
    part = _Part("Repositories", head, _REPOSITORIES, ("repository", "repositories"))
    yield from part.of(lines, left)


def _repository(corner: Corner, *, listed: bool) -> str:
    one = corner.report
    state = "" if one.state is RepositoryState.OK else f"**{_STATES[one.state]}** {_text(corner.why)}"
    size = format_size(corner.size) if corner.goes and listed else ""
    counts = (corner.goes, size, corner.changed or "", corner.undone or "")
    cells = [_name(f"{one.registry}/{one.repository}"), f"{one.images:,}", *map(_count, counts), state]
    return f"| {' | '.join(cells)} |\n"


_STATES = {RepositoryState.LIMITED: "stopped", RepositoryState.FAILED: "failed"}


def _rules(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    verb = "deleted" if report.mode == "delete" else "would go"
    head = (f"| rule | {verb} | at most | changed | not done |\n", "| --- | ---: | ---: | ---: | ---: |\n")
    lines = (
        f"| {_name(rule)} | {share.goes:,} | {format_size(share.size)} | {_count(share.changed or '')} | "
        f"{_count(share.undone or '')} |\n"
        for rule, share in seen.busiest()
    )
    part = _Part("What each rule does", head, _RULES, ("rule", "rules"))
    yield from part.of(lines, left)


def _unselected(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    del seen
    head = ("| tags like | images |\n", "| --- | ---: |\n")
    lines = [_pattern(each) for each in report.unselected]
    title = "What stays because no rule selects it"
    part = _Part(title, head, _OTHER, ("kind of tag", "kinds of tags"))
    yield from part.of(lines, left)


def _pattern(each: Unselected) -> str:
    return f"| {_name(each.pattern)} | {each.images:,} |\n"


def _in_use(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    del seen
    lines = [f"- {_name(each.source)}: {_said(each)}\n" for each in report.in_use.sources]
    lines += [f"- {_name(each)} is in use, but was not found\n" for each in report.in_use.not_found]
    part = _Part("In use", (), _OTHER, ("line on use", "lines on use"))
    yield from part.of(lines, left)


def _said(source: UseSource) -> str:
    if source.error is not None:
        return f"**not read**: {_text(source.error)}"
    return number(source.references, "reference")


def _images(report: Report, seen: Overview, left: list[str]) -> Iterator[str]:
    """The images of each repository below a heading that opens; those not done come first."""
    del report
    room = _IMAGES
    shown = 0
    for corner in seen.largest():
        name = _name(f"{corner.report.registry}/{corner.report.repository}")
        lines = [
            f"\n<details><summary>{name}: {number(corner.images, 'image')}</summary>\n\n",
            "| image | | size | why |\n",
            "| --- | --- | ---: | --- |\n",
        ]
        kept = [*corner.left, *corner.shown]
        lines += map(_image, kept)
        lines.append("\n</details>\n")
        need = sum(len(line.encode()) for line in lines)
        if not kept or need > room:
            continue
        if room == _IMAGES:
            yield "\n## Images\n"
        room -= need
        shown += len(kept)
        yield from lines
    rest = seen.total.images - shown
    if seen.listed and rest:
        left.append(number(rest, "image"))
    elif not seen.listed and rest:
        left.append("the single images, which a .json report doesn't hold")


def _image(outcome: Outcome) -> str:
    action = outcome.action
    names = [_name(short(tag)) for tag in action.tags[:_TAGS] or (action.digest,)]
    more = f" +{len(action.tags) - _TAGS}" if len(action.tags) > _TAGS else ""
    size = "?" if action.size_bytes is None else format_size(action.size_bytes)
    word = action.action.value if outcome.outcome == "planned" else outcome.outcome.value
    why = f"{action.reason}; {outcome.detail}" if outcome.detail else action.reason
    # Most reasons begin with the rule.
    rules = [_name(rule) for rule in action.rules if rule not in action.reason]
    told = f" ({', '.join(rules)})" if rules else ""
    return f"| {', '.join(names)}{more} | {word} | {size} | {_text(why)}{told} |\n"


def _count(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _name(text: str) -> str:
    """Show a name as code, in which nothing is markup, a link or a mention."""
    return f"<code>{_literal(cut(clean(text), _NAME))}</code>"


def _text(text: str) -> str:
    """Show a sentence; words that could be more than words are shown as code."""
    return " ".join(map(_word, cut(short(text), _SENTENCE).split()))


def _word(word: str) -> str:
    if _PLAIN.fullmatch(word) and "://" not in word and "www." not in word.lower():
        return word
    return f"<code>{_literal(word)}</code>"


def _literal(text: str) -> str:
    # Addresses are made links by "www." as well as by "://", whose colon is no longer one below.
    escaped = _HARMLESS.sub(lambda found: f"&#{ord(found[0])};", text)
    return re.sub(r"(?i)(www)\.", r"\1&#46;", escaped)
