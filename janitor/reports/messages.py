"""A report as a message to a webhook, in the form that its receiver takes.

``FORMS`` are the forms. A message is short whatever the run was: it says how much went or would go, what went
wrong first, and how much more there is. Names and sentences come from outside: in no form are they markup, a
link or a mention (a tag ``<!channel>`` wakes nobody).

- ``json``: a document for programs, of fields that the ``.json`` report has, too.
- ``slack``: blocks of an incoming webhook, https://docs.slack.dev/reference/block-kit/blocks: of 3,000
  characters each at most, and not much more than 10,000 together.
- ``teams``: an adaptive card for the Workflows app of Teams, which takes 28 KB. What comes from outside
  stands in text runs, in which Markdown has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from janitor.core.legible import cut, number, short
from janitor.core.overview import DELETING, Fate, headline, overview, verdict
from janitor.core.plan import RepositoryState
from janitor.core.report import ErrorReport, Report
from janitor.core.units import format_size

# What went wrong that is named, in messages for people and for programs.
_POINTS, _LISTED = 10, 50
# Characters of a name, and of a sentence.
_NAME, _SENTENCE = 120, 240
# Characters of a block of Slack: 3,000 are taken, and what is escaped counts as it is sent.
_BLOCK = 2_900


class Point(NamedTuple):
    """Something to look at: where, and what."""

    place: str
    says: str


class Message(NamedTuple):
    """What every form for people says. ``facts`` are numbers; ``more`` points found no place."""

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    points: Sequence[Point]
    more: int
    run: str


def _message(report: Report) -> Message:
    points = list(_points(report))
    mode = "deletion" if report.mode == DELETING else "dry run"
    seen = overview(report, (), most=0, each=0)
    return Message(
        title=f"Registry clean-up: {mode}",
        lead=f"{headline(report, seen.total)}; {verdict(report)}",
        facts=list(_facts(report)),
        points=points[:_POINTS],
        more=max(len(points) - _POINTS, 0),
        run=cut(short(report.run_id), _NAME),
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    seen = overview(report, (), most=0, each=0)
    deleting = report.mode == DELETING
    yield "Deleted" if deleting else "Would go", f"{seen.total.goes:,}"
    yield "Freed, at most" if deleting else "Would be freed, at most", format_size(seen.total.size)
    for fate in (Fate.UNTAGGED, Fate.ARCHIVED, Fate.STOPPED, Fate.FAILED, Fate.REFUSED, Fate.SKIPPED):
        if seen.fates[fate]:
            yield fate.value.capitalize(), f"{seen.fates[fate]:,}"


def _points(report: Report) -> Iterator[Point]:
    for error in report.errors:
        yield Point(_place(error), error.message)
    for source in report.in_use.sources:
        if source.error is not None:
            yield Point(source.source, f"not read, so nothing may go: {source.error}")
    told = {(error.registry, error.repository) for error in report.errors}
    for one in report.repositories:
        name = f"{one.registry}/{one.repository}"
        if one.failed:
            yield Point(name, f"{number(one.failed, 'image')} failed")
        if one.state is RepositoryState.LIMITED:
            yield Point(name, f"stopped, {number(one.planned, 'image')} planned")
        elif one.state is RepositoryState.FAILED and (one.registry, one.repository) not in told:
            yield Point(name, "not read, so nothing of it was touched")


def _place(error: ErrorReport) -> str:
    return "/".join(filter(None, (error.registry, error.repository)))


# --- json -------------------------------------------------------------------------------------------------


def _json(report: Report) -> dict[str, Any]:
    stopped = [
        f"{one.registry}/{one.repository}"
        for one in report.repositories
        if one.state is RepositoryState.LIMITED
    ]
    errors = [
        {
            "registry": cut(error.registry, _NAME),
            "repository": cut(error.repository, _NAME),
            "code": error.code,
            "message": cut(error.message, _SENTENCE),
        }
        for error in report.errors[:_LISTED]
    ]
    return {
        "kind": "run",
        "version": report.version,
        "run_id": report.run_id,
        "mode": report.mode,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "exit_code": report.exit_code,
        "text": _message(report).lead,
        "totals": report.totals,
        "limited": [cut(name, _NAME) for name in stopped[:_LISTED]],
        "limited_more": max(len(stopped) - _LISTED, 0),
        "errors": errors,
        "errors_more": max(len(report.errors) - _LISTED, 0),
    }


# --- slack ------------------------------------------------------------------------------------------------


def _slack(report: Report) -> dict[str, Any]:
    message = _message(report)
    fields = [_mrkdwn(f"*{name}*\n{value}") for name, value in message.facts]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title, "emoji": False}},
        {"type": "section", "text": _mrkdwn(_escaped(message.lead))},
        {"type": "section", "fields": fields[:10]},
    ]
    if message.points:
        blocks.append({"type": "section", "text": _mrkdwn(_slack_points(message))})
    blocks.append({"type": "context", "elements": [_mrkdwn(f"run {_code(message.run)}")]})
    return {
        # What notifications show, where no blocks are.
        "text": _escaped(f"{message.title}: {message.lead}"),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _slack_points(message: Message) -> str:
    lines: list[str] = []
    room = _BLOCK - 40  # the last line
    more = message.more
    for point in message.points:
        says = _escaped(cut(short(point.says), _SENTENCE))
        line = f"• {_code(cut(short(point.place), _NAME))}: {says}" if point.place else f"• {says}"
        if len(line) >= room:
            more += 1
            continue
        room -= len(line) + 1
        lines.append(line)
    if more:
        lines.append(f"and {more:,} more")
    return "\n".join(lines)


def _mrkdwn(text: str) -> dict[str, Any]:
    """Make a text object; ``verbatim``: no address, channel or name in it is made a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(text: str) -> str:
    return f"`{_escaped(text.replace('`', chr(39)))}`"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- teams ------------------------------------------------------------------------------------------------


def _teams(report: Report) -> dict[str, Any]:
    message = _message(report)
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": True, "text": message.title},
        _runs(_run(message.lead)),
        {"type": "FactSet", "facts": [{"title": name, "value": value} for name, value in message.facts]},
    ]
    for point in message.points:
        place = [_run(f"{cut(short(point.place), _NAME)}: ", weight="Bolder")] if point.place else []
        body.append(_runs(*place, _run(cut(short(point.says), _SENTENCE))))
    if message.more:
        body.append(_runs(_run(f"and {message.more:,} more")))
    body.append(_runs(_run(f"run {message.run}", isSubtle=True, size="Small")))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _runs(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


# --- all of them ------------------------------------------------------------------------------------------

FORMS: Mapping[str, Callable[[Report], dict[str, Any]]] = {"json": _json, "slack": _slack, "teams": _teams}


def message(report: Report, form: str) -> bytes:
    """Write the message of a run in one of ``FORMS``, as the JSON that is posted."""
    return msgspec.json.encode(FORMS[form](report))
