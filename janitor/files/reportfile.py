"""Report files, read back: what an earlier run did.

``.json`` is one document, the :class:`~janitor.core.report.Report`, of what fits on a page. ``.jsonl`` is
everything, a line each with its ``kind``: first ``report`` with the scalars and totals, then ``registry``,
``repository``, ``unselected``, ``in_use`` and ``error``, and an ``action`` for each planned action, the
plan's line with ``outcome`` and ``detail``. Outcomes are never held as a whole. Writing is ``reports``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from janitor.core.image import Instant
from janitor.core.plan import Action
from janitor.core.report import (
    ErrorReport,
    Outcome,
    OutcomeKind,
    RegistryReport,
    Report,
    RepositoryReport,
    Totals,
    Unselected,
    UseReport,
)
from janitor.errors import FileError

VERSION = 1


class _ReportLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="report"):
    version: int
    run_id: str
    mode: str
    started_at: Instant
    finished_at: Instant
    exit_code: int
    policies: tuple[str, ...]
    totals: Totals


class _RegistryLine(RegistryReport, frozen=True, kw_only=True, tag_field="kind", tag="registry"):
    pass


class _RepositoryLine(RepositoryReport, frozen=True, kw_only=True, tag_field="kind", tag="repository"):
    pass


class _UnselectedLine(Unselected, frozen=True, kw_only=True, tag_field="kind", tag="unselected"):
    pass


class _UseLine(UseReport, frozen=True, kw_only=True, tag_field="kind", tag="in_use"):
    pass


class _ErrorLine(ErrorReport, frozen=True, kw_only=True, tag_field="kind", tag="error"):
    pass


class _ActionLine(Action, frozen=True, kw_only=True, gc=False):
    outcome: OutcomeKind
    detail: str | None = None


Place = tuple[str, str]

# The lines of which there are many, each with what it is in a report.
_PARTS: Mapping[type[Any], type[Any]] = {
    _RegistryLine: RegistryReport,
    _RepositoryLine: RepositoryReport,
    _UnselectedLine: Unselected,
    _ErrorLine: ErrorReport,
}

_Line = _ReportLine | _RegistryLine | _RepositoryLine | _UnselectedLine | _UseLine | _ErrorLine | _ActionLine
_T = TypeVar("_T")

_decoder: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_document = msgspec.json.Decoder(Report)

# An ``in_use`` line names every reference that was not found.
_MAX_LINE = 64 * 2**20


class ReportFile:
    """A report that was read; ``.jsonl`` gives the outcomes too, and is read again for them.

    ``places`` are where the outcomes of each (registry, repository) begin, in bytes.
    """

    def __init__(self, path: Path, report: Report, places: Mapping[Place, Sequence[int]] | None) -> None:
        self.report = report
        self.has_outcomes = places is not None
        self.places = places or {}
        self._path = path

    def outcomes(self) -> Iterator[Outcome]:
        """Every outcome in the order of the file; of a ``.json`` document none. Raises FileError."""
        if not self.has_outcomes:
            return
        for _, line in _lines(self._path):
            if isinstance(line, _ActionLine):
                yield _outcome(line)

    def outcomes_of(self, place: Place) -> Iterator[Outcome]:
        """The outcomes of one (registry, repository), as :meth:`outcomes` has them. Raises FileError."""
        for start in self.places.get(place, ()):
            for _, line in _lines(self._path, start):
                if not isinstance(line, _ActionLine) or _place(line) != place:
                    break
                yield _outcome(line)


def read_report(path: Path) -> ReportFile:
    """Read a report of either kind; what it is, its first line tells. Raises FileError, with the line."""
    try:
        with path.open("rb") as stream:
            first = stream.readline(_MAX_LINE)
            if _begins_lines(first):
                return ReportFile(path, *_assembled(path))
            report = _document.decode(first + stream.read())
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: is no report that `janitor run --report` wrote: {error}") from error
    if report.version != VERSION:
        raise FileError(f"{path}: is a report of version {report.version}; this program reads {VERSION}")
    return ReportFile(path, report, None)


def read_head(path: Path) -> Report:
    """Read of a ``.jsonl`` report the first line alone: its lists are empty. Raises FileError."""
    try:
        with path.open("rb") as stream:
            head = _decoder.decode(stream.readline(_MAX_LINE))
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FileError(f"{path}:1: is no line of a report: {error}") from error
    if not isinstance(head, _ReportLine) or head.version != VERSION:
        raise FileError(f"{path}:1: is no report of version {VERSION}")
    return Report(**{name: getattr(head, name) for name in head.__struct_fields__})


def _as(kind: type[_T], value: msgspec.Struct) -> _T:
    return msgspec.convert(value, kind, from_attributes=True)


def _begins_lines(first: bytes) -> bool:
    try:
        return isinstance(_decoder.decode(first), _ReportLine)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _place(line: _ActionLine) -> Place:
    return line.registry, line.repository


def _outcome(line: _ActionLine) -> Outcome:
    # convert() takes no UNSET for what may be absent.
    action = Action(**{name: getattr(line, name) for name in Action.__struct_fields__})
    return Outcome(action=action, outcome=line.outcome, detail=line.detail)


def _assembled(path: Path) -> tuple[Report, dict[Place, list[int]]]:
    head: _ReportLine | None = None
    in_use = UseReport()
    lists: dict[type[Any], list[Any]] = {part: [] for part in _PARTS.values()}
    places: dict[Place, list[int]] = {}
    last: Place | None = None
    for start, line in _lines(path):
        match line:
            case _ReportLine():
                head = line
            case _UseLine():
                in_use = _as(UseReport, line)
            case _ActionLine():
                if _place(line) != last:
                    last = _place(line)
                    places.setdefault(last, []).append(start)
            case _:
                part = _PARTS[type(line)]
                lists[part].append(_as(part, line))
    if head is None:
        raise FileError(f"{path}: changed while it was read")
    if head.version != VERSION:
        raise FileError(f"{path}:1: is a report of version {head.version}; this program reads {VERSION}")
    values = {name: getattr(head, name) for name in head.__struct_fields__}
    report = Report(
        registries=tuple(lists[RegistryReport]),
        repositories=tuple(lists[RepositoryReport]),
        unselected=tuple(lists[Unselected]),
        in_use=in_use,
        errors=tuple(lists[ErrorReport]),
        **values,
    )
    return report, places


def _lines(path: Path, start: int = 0) -> Iterator[tuple[int, _Line]]:
    """Yield each line with the byte at which it begins, from such a byte on."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            number = 0
            while raw := stream.readline(_MAX_LINE):
                number += 1
                if not raw.endswith(b"\n"):
                    raise FileError(
                        f"{path}:{number}: the line is cut off: the report was not written to its end"
                    )
                try:
                    line = _decoder.decode(raw)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise FileError(f"{path}:{number}: is no line of a report: {error}") from error
                if (number == 1 and not start) != isinstance(line, _ReportLine):
                    raise FileError(
                        f'{path}:{number}: a report\'s first line, and no other, has "kind":"report"'
                    )
                yield start, line
                start += len(raw)
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
