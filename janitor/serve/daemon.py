"""The daemon's one thread of work: it looks at the policies, asks what is due, and runs it.

Runs are ``janitor run``'s own, one after the other in the thread that signals go to, so that one is stopped
as ``janitor run`` is. The state folder is held by each run for itself; in between, runs by hand may have it,
and a run that finds it held waits. Another daemon may not: that lock is held as long as the daemon lives.

A schedule is served up to the start of a run that came to its end, whatever came of it. One that was
interrupted or killed is not, and is made up by the next daemon that starts within six hours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from janitor.errors import FileError, JanitorError
from janitor.files.statefolder import DAEMON_LOCK, StateFolder, held_by
from janitor.log import get_logger
from janitor.progress import Progress
from janitor.redaction import redact
from janitor.run import Order, new_run_id, run
from janitor.serve.board import Board, Running, Standing, Telling
from janitor.serve.history import Entry, History
from janitor.serve.policies import Policies
from janitor.serve.scheduler import MAKES_UP, Due, Scheduler
from janitor.serve.served import Served
from janitor.settings import Settings, Stop

# Seconds until the daemon looks again, for a signal or a changed file; and for a folder that was held.
_TICK, _HELD = 1.0, 30.0
# An exit code of what a signal ended is this and the signal's number.
_SIGNAL = 128
_BUG, _DONE = 1, 0

Pause = Callable[[float], object]


class Daemon:
    """Made, it has read the policies and holds its lock; :meth:`work` runs until it is stopped.

    ``pause`` waits so many seconds, or until ``stop`` is set. Errors: PolicyError and UsageError where
    policies are wrong or schedule nothing, FileError where another daemon has the folder.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        environ: Mapping[str, str],
        *,
        stop: Stop,
        clock: Callable[[], datetime],
        progress: Progress,
        pause: Pause,
    ) -> None:
        now = clock()
        self._settings = msgspec.structs.replace(settings, state_dir=str(folder), keeps_report=True)
        self._environ = environ
        self._folder = folder
        self._stop = stop
        self._clock = clock
        self._progress = progress
        self._pause = pause
        self._asked = False
        self._policies = Policies(settings.policies, environ, now, deleting=settings.delete)
        self._lock = StateFolder.hold(folder, DAEMON_LOCK, settings.shard, lock=DAEMON_LOCK)
        self.history = History(folder)
        self._served = Served(folder, settings.shard)
        self._scheduler = Scheduler(clock)
        self._scheduler.make_up(self._policies.schedules, self._served.times)
        self.board = Board(
            Standing(
                delete=settings.delete,
                files=self._policies.current.files,
                schedules=self._policies.schedules,
                loaded_at=now,
                beat=now,
            )
        )

    def ask_to_reload(self) -> None:
        """Have the policies read anew at the next occasion; may be called by a signal's handler."""
        self._asked = True

    def work(self) -> int:
        """Run what is due until stopped; returned is the exit code."""
        get_logger().info(
            "serve.started", schedules=len(self._policies.schedules), delete=self._settings.delete
        )
        self._prune()
        while not self._stop.is_set():
            self._reload()
            self._scheduler.turn()
            line = self._scheduler.line
            self.board.show(beat=self._clock(), waiting=tuple(due.planned.name for due in line[1:]))
            if line:
                self._serve(line[0])
                continue
            self._pause(self._until_next())
        self.board.show(stopping=True)
        get_logger().info("serve.stopped", signal=self._stop.signal)
        return _DONE if self._stop.signal is None else _SIGNAL + self._stop.signal

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def _until_next(self) -> float:
        following = self._scheduler.next_time()
        if following is None:
            return _TICK
        return min(_TICK, max(0.0, (following - self._clock()).total_seconds()))

    def _reload(self) -> None:
        asked, self._asked = self._asked, False
        if not self._policies.reload(self._clock(), asked=asked):
            return
        trouble = self._policies.trouble
        if trouble is not None:
            self.board.show(trouble=trouble, trouble_at=self._policies.looked_at)
            return
        self._scheduler.arrange(self._policies.schedules)
        self.board.show(
            files=self._policies.current.files,
            schedules=self._policies.schedules,
            loaded_at=self._policies.looked_at,
            trouble=None,
            trouble_at=None,
        )

    # --- one run ------------------------------------------------------------------------------------------

    def _serve(self, due: Due) -> None:
        """Run one schedule, write down what came of it, and take it off the line."""
        started = self._clock()
        entry = Entry(
            run_id=new_run_id(started),
            mode="delete" if self._settings.delete else "dry-run",
            started_at=started,
            schedule=due.planned.name,
            due=due.at,
        )
        with self._shown(entry):
            self._write(entry)
            exit_code, error = self._outcome(due, entry)
        if exit_code < _SIGNAL:
            with self._logging_trouble():
                self._served.mark(due.planned.name, max(started, due.at))
        self._write(
            msgspec.structs.replace(entry, finished_at=self._clock(), exit_code=exit_code, error=error)
        )
        self._scheduler.done(due, since=started)
        counts = self.board.standing.counts
        key = due.planned.name, exit_code
        self.board.show(counts={**counts, key: counts.get(key, 0) + 1})
        self._prune()

    def _outcome(self, due: Due, entry: Entry) -> tuple[int, str | None]:
        """Run, and tell the exit code, and what ended it without a report; nothing gets out of here."""
        try:
            if not self._is_free(entry):
                return self._interrupted(), None
            return self._run(due, entry), None
        except JanitorError as error:
            get_logger().error("run.failed", run_id=entry.run_id, message=error.message)
            return error.exit_code, redact(error.message)
        except Exception as error:  # noqa: BLE001  a mistake of ours must not end what else is scheduled
            get_logger().exception("run.failed", run_id=entry.run_id)
            return _BUG, redact(f"this is a bug: {type(error).__name__}: {error}")

    def _run(self, due: Due, entry: Entry) -> int:
        schedule = due.planned.schedule
        settings = msgspec.structs.replace(
            self._settings, registries=schedule.registries, repositories=schedule.repositories
        )
        self._stop.go_on()
        try:
            result = run(
                settings,
                self._environ,
                stop=self._stop,
                clock=self._clock,
                progress=Telling(self._progress, self._tell),
                order=Order(entry.run_id, self._policies.current),
            )
        finally:
            self._stop.go_on()
        with contextlib.closing(result):
            for note in result.notes:
                get_logger().warning("run.note", run_id=entry.run_id, note=note)
            return result.exit_code

    def _is_free(self, entry: Entry) -> bool:
        """Wait until no other run has the state folder; ``False`` when stopped. Raises FileError."""
        while (holder := held_by(self._folder, self._settings.shard)) is not None:
            if self._clock() - entry.started_at > MAKES_UP:
                raise FileError(f"the state folder was in use for {MAKES_UP}, lately by {holder}")
            self._tell(f"waits for {holder}")
            self._pause(_HELD)
            if self._stop.is_set():
                return False
        return True

    def _interrupted(self) -> int:
        return _SIGNAL + (self._stop.signal or 0)

    @contextlib.contextmanager
    def _shown(self, entry: Entry) -> Iterator[None]:
        running = Running(run_id=entry.run_id, schedule=entry.schedule or "", started_at=entry.started_at)
        self.board.show(running=running)
        try:
            yield
        finally:
            self.board.show(running=None, beat=self._clock())

    def _tell(self, stage: str) -> None:
        running = self.board.standing.running
        if running is not None:
            self.board.show(running=msgspec.structs.replace(running, stage=stage))

    def _write(self, entry: Entry) -> None:
        with self._logging_trouble():
            self.history.write(entry)

    def _prune(self) -> None:
        with self._logging_trouble():
            self.history.prune(self._clock())

    @contextlib.contextmanager
    def _logging_trouble(self) -> Iterator[None]:
        """A history that can't be written ends no run: the run tells itself if it needs the folder."""
        try:
            yield
        except FileError as error:
            get_logger().error("history.unwritable", message=error.message)
