"""One run, from policy files to a report: the road that every command enters and leaves somewhere.

What a command wants is a :class:`Settings`; what came of it is a :class:`RunResult`. Whoever starts a run
hands it the clock, the environment, the stop and the progress, so that a run reads none of them itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from janitor.core.report import ErrorReport, Outcome, Report


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked to do; an option that is ``None`` or empty leaves it to the policy files.

    ``policies``: files and folders. ``registries`` (names or globs) and ``repositories`` (patterns) narrow
    the run; empty: all that policies cover. ``plan`` and ``reports`` are paths of files to write. ``now``:
    the instant to judge at; ``None``: the clock's. ``shard`` is (index from 0, count). ``max_percent`` in
    percent, ``max_deletions`` in images.
    """

    policies: tuple[str, ...]
    delete: bool = False
    registries: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    plan: str | None = None
    reports: tuple[str, ...] = ()
    state_dir: str | None = None
    now: datetime | None = None
    shard: tuple[int, int] | None = None
    concurrency: int = 16
    max_deletions: int | None = None
    max_percent: int | None = None
    deadline: timedelta | None = None
    verbose: bool = False


class Stop(threading.Event):
    """Set when a run is to end early; ``signal`` is the number of the signal that asked, if one did."""

    signal: int | None = None


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """One image that stays, and what keeps it: a rule, a protection, a limit, or that nothing selects it."""

    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class RunResult(Protocol):
    """What came of a run. Outcomes and stays can be many: they are read from where they were spooled."""

    @property
    def report(self) -> Report:
        """The run on a page."""

    @property
    def exit_code(self) -> int:
        """As the report's."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known before the rest, such as that there is no state folder; usually nothing."""

    def outcomes(self) -> Iterator[Outcome]:
        """Every planned action, a repository at a time in the order of the report; can be asked for again."""

    def stays(self) -> Iterator[Stay]:
        """Every image that stays, in the same order; nothing unless the run was asked to be verbose."""


class Progress(Protocol):
    """Where a run says how far it is; called from the run's own thread alone.

    A stage (``what``: "listing", "deleting") has ``total`` repositories, or who knows how many.
    """

    def started(self, total: int | None, what: str) -> None:
        """Begin a stage."""

    def advanced(self, what: str, images: int) -> None:
        """Say that one repository, ``what``, is done, and how many images it had."""

    def finished(self) -> None:
        """Close the stage, whether or not all of it was done."""


class InventoryResult(msgspec.Struct, frozen=True, kw_only=True):
    """What of an inventory was written, and what could not be read."""

    repositories: int
    images: int
    errors: tuple[ErrorReport, ...] = ()
    exit_code: int = 0


def run(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
) -> RunResult:
    """Plan, delete if asked to, and write the plan and the reports that the settings name.

    Errors: UsageError and PolicyError before anything is done; whatever fails later is in the report.
    """
    raise NotImplementedError


def write_inventory(
    settings: Settings,
    environ: Mapping[str, str],
    path: str,
    *,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
) -> InventoryResult:
    """Write what the registries hold to an inventory file; a repository that can't be read is left out."""
    raise NotImplementedError
