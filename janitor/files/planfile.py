"""The plan file: what a run would do, as JSON Lines that a later ``apply`` can trust.

The first line is the header, then comes each repository's line with the lines of its actions after it, the
last is the summary, with the SHA-256 of every byte before it. A plan without its last line, with another hash
or with lines that are none is refused as a whole, before any of it is used. Neither writing nor reading
holds more than a line.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self

import msgspec

from janitor.core.plan import Action, ActionKind, PlanHeader, RepositoryPlan, Summary
from janitor.errors import FileError

VERSION = 1

Line = PlanHeader | RepositoryPlan | Action | Summary

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)

# A line names one image with its tags; registries allow a few thousand of these, of 128 characters.
_MAX_LINE = 16 * 2**20


def encode_line(line: Line) -> bytes:
    """One line of a plan, its end included."""
    return _encoder.encode(line) + b"\n"


def encode_lines(actions: Sequence[Action]) -> bytes:
    """Many action lines at once, their ends included."""
    return _encoder.encode_lines(actions)


class PlanWriter:
    """Writes a plan to a stream, line by line, and hashes what it writes.

    The stream is the caller's: it is neither flushed nor closed.
    """

    def __init__(self, stream: IO[bytes], header: PlanHeader) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._repositories = 0
        self._actions = 0
        self._write(encode_line(header))

    def repository(self, plan: RepositoryPlan) -> None:
        """Begin a repository; the actions that follow are its own."""
        self._repositories += 1
        self._write(encode_line(plan))

    def action(self, action: Action) -> None:
        """Write one action."""
        self.actions(encode_line(action))

    def actions(self, lines: bytes) -> None:
        """Write actions that are encoded already, whole lines, as :func:`encode_line` makes them."""
        # Lines are counted by taking their ends away: bytes.count takes six times as long.
        self._actions += len(lines) - len(lines.replace(b"\n", b""))
        self._write(lines)

    def close(self, summary: Summary) -> Summary:
        """Write the last line, and return it with its hash.

        Raises ValueError when the summary counts other lines than were written: such a plan would be
        refused by every reader.
        """
        actions = summary.delete + summary.untag + summary.archive
        if (summary.repositories, actions) != (self._repositories, self._actions):
            raise ValueError(
                f"the summary counts {summary.repositories} repositories and {actions} actions, "
                f"{self._repositories} and {self._actions} were written"
            )
        summary = msgspec.structs.replace(summary, sha256=self._hash.hexdigest())
        self._stream.write(encode_line(summary))
        return summary

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._stream.write(data)


class PlanFile:
    """A plan that was found whole; it stays open, and reads itself anew for each iteration.

    Close it, or use it as a context manager.
    """

    def __init__(self, name: str, stream: IO[bytes], header: PlanHeader, summary: Summary) -> None:
        self.header = header
        self.summary = summary
        self._name = name
        self._stream = stream

    def lines(self) -> Iterator[RepositoryPlan | Action]:
        """Every repository and, after it, its actions, in the order of the file.

        One iteration at a time: a second one moves the first.
        """
        for line in _lines(self._stream, self._name):
            if isinstance(line, RepositoryPlan | Action):
                yield line

    def actions(self) -> Iterator[Action]:
        """Every action, in the order of the file."""
        return (line for line in self.lines() if isinstance(line, Action))

    def close(self) -> None:
        """Give the file back."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_plan(path: Path) -> PlanFile:
    """Open a plan and verify all of it: its lines, their counts, its hash.

    What can't be read twice (a pipe) is copied to a temporary file first. Raises FileError, with the line.
    """
    try:
        stream: IO[bytes] = path.open("rb")
        if not stream.seekable():
            stream = _copied(stream)
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
    try:
        header, summary = _verified(stream, str(path))
    except BaseException:
        stream.close()
        raise
    return PlanFile(str(path), stream, header, summary)


def _copied(stream: IO[bytes]) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the PlanFile closes it
    with stream:
        shutil.copyfileobj(stream, copy)
    return copy


def _verified(stream: IO[bytes], name: str) -> tuple[PlanHeader, Summary]:
    hashed = hashlib.sha256()
    header: PlanHeader | None = None
    summary: Summary | None = None
    repositories = 0
    counts = dict.fromkeys(ActionKind, 0)
    for number, (raw, line) in enumerate(_raw_lines(stream, name), 1):
        _check_place(name, number, line, ended=summary is not None)
        match line:
            case PlanHeader():
                header = line
            case RepositoryPlan():
                repositories += 1
            case Action():
                counts[line.action] += 1
            case Summary():
                summary = line
                continue
        hashed.update(raw)
    if header is None:
        raise FileError(f"{name}: is empty; a plan was meant, as `janitor run --plan FILE` writes it")
    if header.version != VERSION:
        raise FileError(f"{name}:1: is a plan of version {header.version}; this program reads {VERSION}")
    if summary is None:
        raise FileError(f"{name}: ends without its last line, the summary: it was not written to its end")
    _check(name, summary, hashed.hexdigest(), repositories, counts)
    return header, summary


def _check_place(name: str, number: int, line: Line, *, ended: bool) -> None:
    if ended:
        raise FileError(f"{name}:{number}: something follows the summary, which is a plan's last line")
    if (number == 1) != isinstance(line, PlanHeader):
        raise FileError(f'{name}:{number}: a plan\'s first line, and no other, has "kind":"plan"')


def _check(
    name: str, summary: Summary, sha256: str, repositories: int, counts: dict[ActionKind, int]
) -> None:
    number = repositories + sum(counts.values()) + 2
    if summary.sha256 != sha256:
        raise FileError(
            f"{name}:{number}: the lines before are not those that were written: their SHA-256 differs"
        )
    said = (summary.repositories, summary.delete, summary.untag, summary.archive)
    found = (repositories, counts[ActionKind.DELETE], counts[ActionKind.UNTAG], counts[ActionKind.ARCHIVE])
    if said != found:
        raise FileError(
            f"{name}:{number}: the summary counts other lines (repositories, delete, untag, archive: "
            f"{said}) than there are ({found})"
        )


def _lines(stream: IO[bytes], name: str) -> Iterator[Line]:
    return (line for _, line in _raw_lines(stream, name))


def _raw_lines(stream: IO[bytes], name: str) -> Iterator[tuple[bytes, Line]]:
    stream.seek(0)
    number = 0
    while raw := stream.readline(_MAX_LINE):
        number += 1
        if not raw.endswith(b"\n"):
            raise FileError(f"{name}:{number}: the line is cut off: the plan was not written to its end")
        try:
            yield raw, _decoder.decode(raw)
        except msgspec.MsgspecError as error:
            raise FileError(f"{name}:{number}: is no line of a plan: {error}") from error
