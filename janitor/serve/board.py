"""What the daemon is at, as one value that it replaces and that any thread may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from janitor.progress import Progress
from janitor.serve.schedules import Planned


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The run under way; ``stage`` says how far it is, or what it waits for."""

    run_id: str
    schedule: str
    started_at: datetime
    stage: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand. ``trouble``: why policies that changed are not in force, since ``trouble_at``.

    ``waiting``: schedules that are due and have to wait. ``counts``: runs since the daemon's start, by
    schedule and exit code. ``beat``: when the daemon last came round; it doesn't while a run is under way.
    """

    delete: bool
    files: tuple[str, ...]
    schedules: tuple[Planned, ...]
    loaded_at: datetime
    beat: datetime
    trouble: str | None = None
    trouble_at: datetime | None = None
    waiting: tuple[str, ...] = ()
    running: Running | None = None
    counts: Mapping[tuple[str, int], int] = {}
    stopping: bool = False


class Board:
    """Where the standing hangs. Written by the daemon's thread alone; a reader takes it down whole."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing

    def show(self, **changes: object) -> None:
        """Put up a standing with some things changed."""
        self.standing = msgspec.structs.replace(self.standing, **changes)


class Telling:
    """Progress that is told on the board, too."""

    def __init__(self, progress: Progress, tell: Callable[[str], None]) -> None:
        self._progress = progress
        self._tell = tell
        self._stage, self._total, self._done = "", "", 0

    def started(self, total: int | None, what: str) -> None:
        """Begin a stage."""
        self._stage, self._done = what, 0
        self._total = "" if total is None else f" of {total:,}"
        self._tell(what)
        self._progress.started(total, what)

    def advanced(self, what: str, images: int) -> None:
        """Count a repository."""
        self._done += 1
        self._tell(f"{self._stage}: {self._done:,}{self._total} repositories")
        self._progress.advanced(what, images)

    def finished(self) -> None:
        """Close the stage."""
        self._tell("")
        self._progress.finished()
