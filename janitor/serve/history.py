"""What ran: of each run what started it, when it ended, and its report; in the state folder, and bounded.

A run that a schedule started has ``runs/RUN/started.json``, written before it begins and again after it, and
its ``report.jsonl``, dry runs too. Runs that were started by hand with ``--delete`` have a report as well,
and are told. Kept are the newest 1,000 runs that announced changes (those have a journal), and the newest 200
of the others, none of them for more than 180 days; a journal that isn't ended stays until a run ends it.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from janitor.core.report import Totals
from janitor.errors import FileError
from janitor.files import journal
from janitor.files.atomic import PRIVATE, write_atomically
from janitor.files.reportfile import ReportFile, read_head, read_report
from janitor.files.statefolder import run_folder, run_ids
from janitor.log import get_logger

MOST_CHANGING, MOST_OTHERS, LONGEST = 1000, 200, timedelta(days=180)
"""How many runs are kept that announced changes, how many others, and for how long."""

_STARTED, _REPORT = "started.json", "report.jsonl"
_RUN_ID = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{6}")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``schedule``: its name, or ``None`` for one that was started by hand; ``due``: its time.

    ``exit_code`` and ``finished_at`` are ``None`` for one that hasn't ended, or was killed; ``error`` is what
    ended it without a report. ``totals`` are the report's.
    """

    run_id: str
    mode: str
    started_at: datetime
    schedule: str | None = None
    due: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    error: str | None = None
    totals: Totals | None = None


class History:
    """The runs of a state folder. Reading is safe in any thread; what can't be read is left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Entry] = {}

    def write(self, entry: Entry) -> None:
        """Write down a run that begins, or has ended. Raises FileError."""
        folder = run_folder(self._folder, entry.run_id)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} can't be made: {error.strerror or error}") from error
        write_atomically(folder / _STARTED, msgspec.json.encode(entry) + b"\n", mode=PRIVATE)

    def entries(self) -> tuple[Entry, ...]:
        """Every run that there is something to tell of, the latest first."""
        try:
            names = run_ids(self._folder)
        except FileError:
            return ()
        found = [self._read(name) for name in names if _RUN_ID.fullmatch(name)]
        told = [entry for entry in found if entry is not None]
        return tuple(sorted(told, key=lambda entry: (entry.started_at, entry.run_id), reverse=True))

    def entry(self, run_id: str) -> Entry | None:
        """One run; ``None`` where there is none, or the id is none."""
        return self._read(run_id) if _RUN_ID.fullmatch(run_id) else None

    def report(self, run_id: str) -> ReportFile | None:
        """The report of a run, if it has one. Raises FileError where it can't be read."""
        if not _RUN_ID.fullmatch(run_id):
            return None
        path = run_folder(self._folder, run_id) / _REPORT
        return read_report(path) if path.is_file() else None

    def prune(self, now: datetime) -> None:
        """Take away the runs that are too many or too old."""
        kept = {True: 0, False: 0}
        for name in reversed(run_ids(self._folder)):
            stamp = _RUN_ID.fullmatch(name)
            folder = run_folder(self._folder, name)
            if stamp is None or folder.is_symlink():
                continue
            changing = (folder / journal.NAME).exists()
            if changing and not _is_ended(folder / journal.NAME):
                continue
            kept[changing] += 1
            most = MOST_CHANGING if changing else MOST_OTHERS
            if kept[changing] > most or now - _time(stamp[1]) > LONGEST:
                shutil.rmtree(folder, ignore_errors=True)
                self._known.pop(name, None)
                get_logger().info("history.pruned", run_id=name)

    def _read(self, run_id: str) -> Entry | None:
        known = self._known.get(run_id)
        if known is not None:
            return known
        folder = run_folder(self._folder, run_id)
        entry = _with_report(_started(folder), folder / _REPORT)
        if entry is not None and entry.finished_at is not None:
            self._known[run_id] = entry
        return entry


def _started(folder: Path) -> Entry | None:
    try:
        return msgspec.json.decode((folder / _STARTED).read_bytes(), type=Entry)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _with_report(entry: Entry | None, path: Path) -> Entry | None:
    """Add what the report tells, if there is one."""
    try:
        report = read_head(path)
    except FileError:
        return entry
    if entry is None:
        entry = Entry(run_id=report.run_id, mode=report.mode, started_at=report.started_at)
    return msgspec.structs.replace(
        entry, finished_at=report.finished_at, exit_code=report.exit_code, totals=report.totals
    )


def _is_ended(path: Path) -> bool:
    try:
        return journal.was_ended(path)
    except FileError:
        return False


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
