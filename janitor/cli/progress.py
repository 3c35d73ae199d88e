"""How far a run is, on standard error: a bar on a terminal, an event now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

from janitor.log import get_logger
from janitor.progress import Progress
from janitor.reports.console import clean

# Seconds between two events: often enough to see that it lives, seldom enough for a log that is paid by line.
_PAUSE = 30.0


class Silence:
    """Tells nothing."""

    def started(self, total: int | None, what: str) -> None:
        """Tell nothing."""

    def advanced(self, what: str, images: int) -> None:
        """Tell nothing."""

    def finished(self) -> None:
        """Tell nothing."""


class Events:
    """A log event at the end of a stage, and while it lasts not oftener than twice a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._total: int | None = None
        self._done = self._images = 0
        self._told = 0.0

    def started(self, total: int | None, what: str) -> None:
        """Begin to count."""
        self._stage, self._total, self._done, self._images = what, total, 0, 0
        self._told = self._clock()

    def advanced(self, what: str, images: int) -> None:
        """Count, and tell if nothing was told for long."""
        del what
        self._done += 1
        self._images += images
        if self._clock() - self._told >= _PAUSE:
            self._tell("progress.advanced")

    def finished(self) -> None:
        """Tell how much it was."""
        self._tell("progress.finished")

    def _tell(self, event: str) -> None:
        self._told = self._clock()
        get_logger().info(
            event, stage=self._stage, repositories=self._done, of=self._total, images=self._images
        )


class Bar:
    """A bar a stage; what else is written to standard error meanwhile appears above it."""

    def __init__(self, stream: TextIO) -> None:
        self._bar = Display(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("repositories"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[images]:,} images"),
            # Names are not markup, and this column gives way first.
            TextColumn("{task.fields[name]}", markup=False, style="dim"),
            console=Console(file=stream),
            transient=True,
            redirect_stdout=False,
        )
        self._task: TaskID | None = None
        self._images = 0

    def started(self, total: int | None, what: str) -> None:
        """Show a new bar."""
        self._images = 0
        self._task = self._bar.add_task(what, total=total, images=0, name="")
        self._bar.start()

    def advanced(self, what: str, images: int) -> None:
        """Move it on, and name what is done."""
        if self._task is None:
            return
        self._images += images
        self._bar.update(self._task, advance=1, images=self._images, name=clean(what))

    def finished(self) -> None:
        """Take it away."""
        self._bar.stop()
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


@contextlib.contextmanager
def showing(stream: TextIO, *, quiet: bool, events: bool) -> Iterator[Progress]:
    """Give what suits: nothing if ``quiet``; ``events`` if the log is read by programs; else a bar."""
    progress: Progress
    if quiet:
        progress = Silence()
    elif events or not stream.isatty():
        progress = Events()
    else:
        progress = Bar(stream)
    try:
        yield progress
    finally:
        # A run that fails leaves its stage open; the cursor must come back all the same.
        if isinstance(progress, Bar):
            progress.finished()
