"""What a command asks of a run, and what must stand before it begins: folders, state, registries."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from janitor.core.policy import PolicySet
from janitor.core.report import ErrorReport
from janitor.errors import FileError, UsageError
from janitor.files.repositorystate import RepositoryStates
from janitor.files.statefolder import StateFolder, default_folder, why_unwritable
from janitor.opening import Request, open_registries
from janitor.premises import Opened


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked to do; an option that is ``None`` or empty leaves it to the policy files.

    ``policies``: files and folders. ``registries`` (names or globs) and ``repositories`` (patterns) narrow
    the run; empty: all that policies cover. ``plan`` and ``reports`` are paths of files to write; ``saved``
    is a plan that is read: only what it holds, too, is done. ``now``:
    the instant to judge at; ``None``: the clock's. ``shard`` is (index from 0, count). ``max_percent`` in
    percent, ``max_deletions`` in images. ``deadline``: how long the run may take; listing has half of it.
    ``keeps_report``: a dry run's report, too, is kept in the state folder.
    """

    policies: tuple[str, ...]
    delete: bool = False
    registries: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    plan: str | None = None
    saved: str | None = None
    reports: tuple[str, ...] = ()
    state_dir: str | None = None
    now: datetime | None = None
    shard: tuple[int, int] | None = None
    concurrency: int = 16
    max_deletions: int | None = None
    max_percent: int | None = None
    deadline: timedelta | None = None
    verbose: bool = False
    keeps_report: bool = False


class Stop(threading.Event):
    """Set when a run is to end early: by a signal, whose number ``signal`` is, or when its time is over."""

    signal: int | None = None
    _expires: tuple[datetime, Callable[[], datetime]] | None = None
    _holds: tuple[datetime, Callable[[], datetime]] | None = None

    def expire(self, at: datetime, clock: Callable[[], datetime]) -> None:
        """Be set from this instant on, by that clock."""
        self._expires = at, clock

    def go_on(self) -> None:
        """Forget when it was to be set: another run begins."""
        self._expires = None

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        if self._expires is None:
            return False
        at, clock = self._expires
        return clock() >= at

    @contextlib.contextmanager
    def meanwhile_after(self, at: datetime, clock: Callable[[], datetime]) -> Iterator[None]:
        """Be set after this instant as long as the block lasts: what it rests on is too old then."""
        self._holds = at, clock
        try:
            yield
        finally:
            self._holds = None

    def is_set(self) -> bool:
        """Whether no further change, and no further request, may be begun."""
        holds = self._holds
        return super().is_set() or self.expired or (holds is not None and holds[1]() > holds[0])


def _request(settings: Settings) -> Request:
    """Narrow the policies' registries as the settings say."""
    return Request(
        registries=settings.registries,
        repositories=settings.repositories,
        shard=settings.shard,
        concurrency=settings.concurrency,
        deleting=settings.delete,
    )


class Ground(NamedTuple):
    """What a run stands on: its state folder, if it has one, and the registries that it opened.

    ``notes``: what must be known of the folder. ``errors``: of registries that couldn't be opened; the run
    adds its own.
    """

    folder: StateFolder | None
    states: RepositoryStates
    notes: tuple[str, ...]
    opened: list[Opened]
    errors: list[ErrorReport]


@contextlib.contextmanager
def ground(
    settings: Settings, policies: PolicySet, environ: Mapping[str, str], run_id: str, stop: Stop
) -> Iterator[Ground]:
    """Hold the state folder and open the registries, and give both back afterwards.

    Errors: as :func:`_held_state` and ``open_registries``.
    """
    with contextlib.ExitStack() as stack:
        folder, notes = _held_state(settings, environ, run_id)
        if folder is not None:
            stack.enter_context(folder)
        states = RepositoryStates(None if folder is None else folder.path)
        opening = open_registries(policies, _request(settings), environ, stop, states)
        opened, errors = stack.enter_context(opening)
        yield Ground(folder, states, notes, opened, errors)


def _held_state(
    settings: Settings, environ: Mapping[str, str], run_id: str
) -> tuple[StateFolder | None, tuple[str, ...]]:
    """Hold the state folder; only a dry run goes on without one.

    Errors: UsageError, when something is to be deleted and the folder can't be written; FileError, when
    another run holds it.
    """
    try:
        path = default_folder(environ) if settings.state_dir is None else Path(settings.state_dir)
        trouble = why_unwritable(path)
    except FileError as error:
        path, trouble = Path(), error.message
    if trouble is None:
        return StateFolder.hold(path, run_id, settings.shard), ()
    if settings.delete:
        raise UsageError(f"{trouble}; nothing is deleted without one")
    return None, (f"{trouble}; this run goes on without it, and remembers nothing",)


def check_writable(paths: Iterable[str]) -> None:
    """Refuse before anything is done what could not be written after hours."""
    for path in paths:
        parent = Path(path).absolute().parent
        if not parent.is_dir():
            raise UsageError(f"{path} can't be written: there is no folder {parent}")
