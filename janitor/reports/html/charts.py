"""Charts as inline SVG: bars in the rows of a table, and columns.

Lengths along the page are percent, so that a chart is as wide as its place while its text keeps its size.
Colours are the style sheet's, which knows light and dark. Every number is written beside its bar, too.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_BAR = 12
_COLUMN, _ABOVE, _BELOW = 170, 22, 24
# Percent that a part has at least, so that one image of a million is seen.
_LEAST = 0.5


class Part(NamedTuple):
    """A part of a bar or column: the kind that colours it, how much, and what it says when pointed at."""

    kind: str
    amount: float
    says: str


class Bar(NamedTuple):
    """A row of a chart: ``label`` is HTML, ``value`` is text."""

    label: str
    parts: Sequence[Part]
    value: str


class Column(NamedTuple):
    """A column of a chart, its parts from the ground up."""

    label: str
    parts: Sequence[Part]
    value: str


def bars(rows: Sequence[Bar]) -> Iterator[str]:
    """Yield a table of bars; the longest fills its place."""
    most = max((sum(part.amount for part in row.parts) for row in rows), default=0)
    yield '<table class="bars"><tbody>\n'
    for row in rows:
        yield f'<tr><th scope="row">{row.label}</th><td class="bar">{bar(row.parts, most)}</td>'
        yield f'<td class="num">{html.escape(row.value)}</td></tr>\n'
    yield "</tbody></table>\n"


def bar(parts: Sequence[Part], whole: float, *, height: int = _BAR) -> str:
    """Draw one bar of which ``whole`` would fill the place."""
    drawn = [f'<svg width="100%" height="{height}" aria-hidden="true">']
    drawn.append(f'<rect class="track" width="100%" height="{height}" rx="3" opacity=".45"/>')
    at = 0.0
    for part in parts:
        width = _percent(part.amount, whole)
        if width:
            drawn.append(
                f'<rect class="fill-{part.kind}" x="{at:.2f}%" width="{width:.2f}%" height="{height}" rx="2">'
                f"<title>{html.escape(part.says)}</title></rect>"
            )
        at += width
    drawn.append("</svg>")
    return "".join(drawn)


def columns(shown: Sequence[Column], says: str) -> Iterator[str]:
    """Yield a chart of columns on a ground line; ``says`` is what it shows, for those who don't see it."""
    most = max((sum(part.amount for part in column.parts) for column in shown), default=0)
    height = _ABOVE + _COLUMN + _BELOW
    yield f'<svg width="100%" height="{height}" role="img" aria-label="{html.escape(says)}">\n'
    ground = _ABOVE + _COLUMN
    each = 100 / max(len(shown), 1)
    for place, column in enumerate(shown):
        yield from _column(column, each * place, each, most)
    yield f'<line x1="0" x2="100%" y1="{ground}.5" y2="{ground}.5"/>\n</svg>\n'


def _column(column: Column, left: float, each: float, most: float) -> Iterator[str]:
    y = float(_ABOVE + _COLUMN)
    for part in column.parts:
        height = _percent(part.amount, most) / 100 * _COLUMN
        if not height:
            continue
        y -= height
        yield (
            f'<rect class="fill-{part.kind}" x="{left + each * 0.18:.2f}%" y="{y:.1f}" '
            f'width="{each * 0.64:.2f}%" height="{height:.1f}" rx="2">'
            f"<title>{html.escape(part.says)}</title></rect>\n"
        )
    middle = f"{left + each / 2:.2f}%"
    if column.value:
        yield f'<text class="value" x="{middle}" y="{y - 6:.1f}">{html.escape(column.value)}</text>\n'
    yield f'<text x="{middle}" y="{_ABOVE + _COLUMN + 18}">{html.escape(column.label)}</text>\n'


def _percent(amount: float, whole: float) -> float:
    if amount <= 0 or whole <= 0:
        return 0.0
    return max(100 * amount / whole, _LEAST)
