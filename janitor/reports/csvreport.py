"""The ``.csv`` report: a row an outcome, for a spreadsheet.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and whoever may push a
tag may write one: such a cell is given a ``'`` in front, which spreadsheets read as "this is text".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from janitor.core.report import Outcome, Report
from janitor.core.units import format_time

COLUMNS = (
    "registry",
    "repository",
    "digest",
    "tags",
    "action",
    "remove_tags",
    "outcome",
    "detail",
    "rules",
    "reason",
    "size_bytes",
    "pushed_at",
)

# Tab and carriage return are skipped by some spreadsheets before they look for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the heading and a row an outcome; tags and rules are joined by spaces."""
    del report
    yield _line(COLUMNS)
    for outcome in outcomes:
        yield _line(_cells(outcome))


def _cells(outcome: Outcome) -> Sequence[str]:
    action = outcome.action
    removed = () if action.remove_tags is UNSET else action.remove_tags
    return (
        action.registry,
        action.repository,
        action.digest,
        " ".join(action.tags),
        action.action.value,
        " ".join(removed),
        outcome.outcome.value,
        outcome.detail or "",
        " ".join(action.rules),
        action.reason,
        "" if action.size_bytes is None else str(action.size_bytes),
        "" if action.pushed_at is None else format_time(action.pushed_at),
    )


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell
