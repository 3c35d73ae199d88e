"""The ``.json`` report: one document of what fits on a page, without the single images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from janitor.core.report import Outcome, Report


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the document; the outcomes are not read."""
    del outcomes
    document = msgspec.json.format(msgspec.json.encode(report), indent=2)
    yield document.decode() + "\n"
