"""A report as text: one pure function a format, each of which writes as it iterates.

``FORMATS`` are the formats of files, by suffix; the terminal's is ``console``. A format is loaded when it is
written: a command that writes none doesn't wait for it. A renderer takes the report
and its outcomes, reads the outcomes once, and yields pieces of text that are put down as they are, so that
the report of a million images never stands in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import PurePath

from janitor.core.report import Outcome, Report
from janitor.errors import UsageError

Renderer = Callable[[Report, Iterable[Outcome]], Iterator[str]]


def _in(module: str) -> Renderer:
    """Give the renderer of a module of this package."""

    def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
        found: Renderer = import_module(f"janitor.reports.{module}").render
        return found(report, outcomes)

    return render


FORMATS: Mapping[str, Renderer] = {
    ".json": _in("jsonreport"),
    ".jsonl": _in("jsonlreport"),
    ".csv": _in("csvreport"),
    ".md": _in("markdown"),
    ".html": _in("html"),
    ".xml": _in("junit"),
    ".prom": _in("prometheus"),
}


def renderer(path: str) -> Renderer:
    """Choose the renderer by the suffix of the file that is to be written.

    Errors: UsageError, which names the suffixes that there are.
    """
    suffix = PurePath(path).suffix.lower()
    found = FORMATS.get(suffix)
    if found is None:
        has = f"ends in {suffix}" if suffix else "has no suffix"
        raise UsageError(f"the report {path!r} {has}, which is no format: use one of {' '.join(FORMATS)}")
    return found
