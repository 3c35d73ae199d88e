"""APScheduler, with the clock injected and without a thread of its own: what is due joins one line.

Each schedule is a job of it, which stands in the line once at most; of several times that have passed, the
last counts. A time that passed while nobody was there is made up within six hours, and is missed after that;
one that passed while a run was under way has waited for it, however long that took.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.base import BaseScheduler

from janitor.log import get_logger
from janitor.serve.schedules import Planned

MAKES_UP = timedelta(hours=6)
"""How late a time that nobody served may be."""

_START_TAKES = timedelta(minutes=1)

Clock = Callable[[], datetime]


class Due(NamedTuple):
    """A schedule whose time has come, and that time."""

    planned: Planned
    at: datetime


class Scheduler(BaseScheduler):  # type: ignore[misc]  # APScheduler has no types
    """Asked by :meth:`turn` what is due; ``line`` is what is to be run, in its order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._executor = _Line(clock)
        # The line tells what is missed, by the clock that it was given.
        defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        # That a schedule which waits in the line is due again is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        super().__init__(
            timezone=_ByClock(clock), executors={"default": self._executor}, job_defaults=defaults
        )
        self.start()

    @property
    def line(self) -> Sequence[Due]:
        """What is due, the first first."""
        return tuple(self._executor.line)

    def arrange(self, schedules: Iterable[Planned]) -> None:
        """Take these schedules instead of those before; what is arranged already goes on as it was."""
        wanted = {each.name: each for each in schedules}
        for job in self.get_jobs():
            if job.id not in wanted:
                job.remove()
                self._executor.forget(job.id)
        for name in wanted.keys() - {job.id for job in self.get_jobs()}:
            self._add(wanted[name], wanted[name].cron.get_next_fire_time(None, self._clock()))

    def make_up(self, schedules: Iterable[Planned], served: Mapping[str, datetime]) -> None:
        """Arrange schedules at the start: a last time that nobody served is due, unless it was long ago."""
        now = self._clock()
        for each in schedules:
            last = each.cron.last(now, MAKES_UP)
            if last is not None and (each.name not in served or served[each.name] < last):
                self._add(each, last)
        self.arrange(schedules)

    def turn(self) -> None:
        """Let what is due by now join the line."""
        self._process_jobs()

    def done(self, due: Due, *, since: datetime) -> None:
        """Take the first off the line: its run took from ``since`` until now."""
        self._executor.done(due, since)

    def next_time(self) -> datetime | None:
        """When the next schedule is due."""
        times = [job.next_run_time for job in self.get_jobs() if job.next_run_time is not None]
        return min(times, default=None)

    def _add(self, planned: Planned, at: datetime | None) -> None:
        self.add_job(_nothing, planned.cron, args=[planned], id=planned.name, next_run_time=at)

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002  as APScheduler's
        """Forget everything."""
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Do nothing: whoever owns this comes round by himself."""


class _Line(BaseExecutor):  # type: ignore[misc]  # as above
    """An executor that runs nothing, and keeps what is to be run."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.line: deque[Due] = deque()
        self._clock = clock
        self._ran: tuple[datetime, datetime] | None = None

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        due = Due(job.args[0], run_times[-1])
        late = self._late(due.at)
        if late > MAKES_UP + _START_TAKES:
            get_logger().warning("schedule.missed", schedule=job.id, due=due.at.isoformat(), late=str(late))
            self._release(job.id)
            return
        self.line.append(due)

    def _late(self, at: datetime) -> timedelta:
        if self._ran is not None and self._ran[0] <= at:
            at = max(at, self._ran[1])
        return self._clock() - at

    def done(self, due: Due, since: datetime) -> None:
        self.line.remove(due)
        self._ran = since, self._clock()
        self._release(due.planned.name)

    def forget(self, name: str) -> None:
        for due in [each for each in self.line if each.planned.name == name]:
            self.line.remove(due)
            self._release(name)

    def _release(self, name: str) -> None:
        self._run_job_success(name, [])


class _ByClock(tzinfo):
    """UTC by a clock that was given: APScheduler reads the time as ``datetime.now`` of its timezone.

    Nothing else is to be asked of it: :meth:`Scheduler.next_time` tells times as the triggers gave them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def fromutc(self, dt: datetime) -> datetime:
        del dt
        return self._clock().astimezone(UTC)

    def utcoffset(self, dt: datetime | None) -> timedelta:
        del dt
        return timedelta()

    def dst(self, dt: datetime | None) -> timedelta:
        del dt
        return timedelta()

    def tzname(self, dt: datetime | None) -> str:
        del dt
        return "UTC"


def _nothing(planned: Planned) -> None:
    """What a job is to call; the line is run by who owns it."""
