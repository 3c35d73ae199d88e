"""A report as text: one pure function a format, each of which writes as it iterates.

``FORMATS`` are the formats of files, by suffix; the terminal's is ``console``. A renderer takes the report
and its outcomes, reads the outcomes once, and yields pieces of text that are put down as they are, so that
the report of a million images never stands in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath

from janitor.core.report import Outcome, Report
from janitor.errors import UsageError
from janitor.reports import csvreport, html, jsonlreport, jsonreport, junit, markdown, prometheus

Renderer = Callable[[Report, Iterable[Outcome]], Iterator[str]]

FORMATS: Mapping[str, Renderer] = {
    ".json": jsonreport.render,
    ".jsonl": jsonlreport.render,
    ".csv": csvreport.render,
    ".md": markdown.render,
    ".html": html.render,
    ".xml": junit.render,
    ".prom": prometheus.render,
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
