"""The journal of a run: what it was about to change, and what came of it, so that a kill loses nothing.

JSON Lines. The first says which run it is, the last that it came to its end; a journal without that last
line is of a run that was killed. Between them stand, of every change, an *intent* before it is asked of a
registry and an *outcome* after. Intents are on disk (the folder's entry too) before the request leaves; an
outcome that was lost with the machine is found again by looking. A line that was cut by a kill is the last
one, and what it was to announce was never asked.

An intent holds what it takes to bring the image back, and what was to go along with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from janitor.core.image import Instant
from janitor.core.report import OutcomeKind
from janitor.errors import FileError
from janitor.files.atomic import PRIVATE, sync_folder

VERSION = 1
NAME = "journal.jsonl"


class Change(StrEnum):
    """What is asked of a registry."""

    DELETE = "delete"
    UNTAG = "untag"
    ARCHIVE = "archive"
    RESTORE = "restore"


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="run"):
    """The first line. ``lock`` is the name of the lock that the run holds as long as it lives."""

    version: int = VERSION
    run_id: str
    lock: str
    started_at: Instant


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="intent"):
    """One image that is about to be changed; ``n`` counts from 1.

    ``tags`` are all that it has, ``remove_tags`` those that are taken off. ``returns``: it can come back, by
    ``manifest`` (as base64), ``media_type`` and ``handle``, as far as the registry needs them. ``along`` are
    the images that go with it, ``rules`` what took it.
    """

    n: int = 0
    at: Instant
    action: Change
    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    returns: bool = False
    media_type: str | None = None
    manifest: bytes | None = None
    handle: str | None = None
    along: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="outcome"):
    """What came of the intent ``n``."""

    n: int
    at: Instant
    outcome: OutcomeKind
    detail: str | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="end"):
    """The last line. ``recovered_by``: the run that found out what had no outcome."""

    at: Instant
    recovered_by: str | None = None


Line = Begun | Intent | Settled | Ended

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Journal:
    """The journal that a run writes; its file is made when the first change is announced. Close it.

    Everything raises FileError when it can't be written; nothing may be changed then.
    """

    def __init__(self, folder: Path, begun: Begun) -> None:
        self._path = folder / NAME
        self._begun = begun
        self._file = -1
        self._count = 0
        self.trouble: str | None = None

    def announce(self, intents: Sequence[Intent]) -> dict[str, int]:
        """Write intents and wait until they are on disk; returned is the number of each, by digest."""
        lines: list[Line] = []
        numbers: dict[str, int] = {}
        if self._file < 0:
            self._create()
            lines.append(self._begun)
        for intent in intents:
            self._count += 1
            numbers[intent.digest] = self._count
            lines.append(msgspec.structs.replace(intent, n=self._count))
        self._write(lines)
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from error
        return numbers

    def settle(self, number: int, at: datetime, outcome: OutcomeKind, detail: str | None) -> None:
        """Write what came of an intent. What can't be written is kept in mind: nothing more is announced."""
        try:
            self._write([Settled(n=number, at=at, outcome=outcome, detail=detail)])
        except FileError:
            return

    def end(self, at: datetime) -> None:
        """Write the last line, unless nothing was ever announced."""
        if self._file >= 0 and self.trouble is None:
            self._write([Ended(at=at)])

    def close(self) -> None:
        """Give the file back. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, flags, PRIVATE)
            for folder in (self._path.parent, self._path.parent.parent, self._path.parent.parent.parent):
                sync_folder(folder)
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, lines: Sequence[Line]) -> None:
        if self.trouble is not None:
            raise FileError(self.trouble)
        try:
            append(self._file, lines)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> FileError:
        self.trouble = f"the journal {self._path} can't be written: {error.strerror or error}"
        return FileError(self.trouble)


def append(file: int, lines: Sequence[Line]) -> None:
    """Write whole lines to the end of a file, past every buffer of ours; raises OSError."""
    data = _encoder.encode_lines(lines)
    while data:
        data = data[os.write(file, data) :]


class JournalFile(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that was read. ``outcomes`` by the number of their intent; ``length`` of its whole lines."""

    path: Path
    length: int
    begun: Begun
    intents: tuple[Intent, ...]
    outcomes: Mapping[int, Settled]
    ended: bool

    def unsettled(self) -> tuple[Intent, ...]:
        """What was announced, and of which nothing more is known."""
        return tuple(intent for intent in self.intents if intent.n not in self.outcomes)

    def succeeded(self) -> Iterator[Intent]:
        """What was done, in order."""
        done = {OutcomeKind.DELETED, OutcomeKind.UNTAGGED, OutcomeKind.ARCHIVED, OutcomeKind.RESTORED}
        for intent in self.intents:
            settled = self.outcomes.get(intent.n)
            if settled is not None and settled.outcome in done:
                yield intent


def read_journal(path: Path) -> JournalFile | None:
    """Read a journal; ``None`` where nothing was announced in it. Raises FileError, with the line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
    begun: Begun | None = None
    intents: list[Intent] = []
    outcomes: dict[int, Settled] = {}
    ended = False
    whole, _, _ = data.rpartition(b"\n")  # what follows was cut by a kill
    for number, raw in enumerate(whole.split(b"\n") if whole else (), 1):
        match _line(path, number, raw):
            case Begun() as begun:
                pass
            case Intent() as intent:
                intents.append(intent)
            case Settled() as settled:
                outcomes[settled.n] = settled
            case Ended():
                ended = True
    if begun is None:
        return None
    return JournalFile(
        path=path, length=len(whole) + 1, begun=begun, intents=tuple(intents), outcomes=outcomes, ended=ended
    )


def complete(journal: JournalFile, settled: Sequence[Settled], ended: Ended | None) -> None:
    """Add to the journal of a run that is over what is known by now. Raises FileError."""
    lines: list[Line] = [*settled, *([] if ended is None else [ended])]
    try:
        file = os.open(journal.path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(file, journal.length)  # a line that was cut
            append(file, lines)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise FileError(f"{journal.path} can't be written: {error.strerror or error}") from error


def was_ended(path: Path) -> bool:
    """Whether a journal has its last line; looks at its end alone. Raises FileError."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _END_LENGTH))
            tail = stream.read()
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    return tail.endswith(b"\n") and last.startswith(b'{"kind":"end"')


_END_LENGTH = 1024  # a last line has a time and perhaps a run's id


def _line(path: Path, number: int, raw: bytes) -> Line:
    try:
        line = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise FileError(f"{path}:{number}: is no line of a journal: {error}") from error
    if (number == 1) != isinstance(line, Begun):
        raise FileError(f'{path}:{number}: a journal\'s first line, and no other, has "kind":"run"')
    if isinstance(line, Begun) and line.version != VERSION:
        raise FileError(f"{path}: is a journal of version {line.version}; this program reads {VERSION}")
    return line
