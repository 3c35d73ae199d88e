"""Debian's cron as its manual and its main loop have it, minute by minute: slow, and plain.

Every minute the clock on the wall is compared with the virtual time, up to which all jobs have run. One
minute later: everything that is due runs. Earlier, by up to three hours: only jobs with a ``*`` at the begin
of their minute or hour run, by the wall. Later by more than five minutes and up to three hours: those, and of
the others what was due in each virtual minute. Further away: everything by the new time, at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
THREE_HOURS = 180
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


class Job(NamedTuple):
    """An expression of numbers, read as crontab(5) says."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool
    wild: bool

    @classmethod
    def read(cls, text: str) -> Job:
        fields = text.split()
        minutes, hours, days, months, weekdays = (
            _numbers(field, *bounds) for field, bounds in zip(fields, _RANGES, strict=True)
        )
        return cls(
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % 7 for day in weekdays),
            both_days=fields[2].startswith("*") or fields[4].startswith("*"),
            wild=fields[0].startswith("*") or fields[1].startswith("*"),
        )

    def is_due(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        of_month, of_week = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (of_month and of_week) if self.both_days else (of_month or of_week)


def _numbers(field: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (least, most) if span == "*" else (int(first), int(last or first))
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


class Walk:
    """Every minute in a place, from ``start`` to before ``end``, as cron's main loop meets it.

    Offsets change at full quarters of an hour. A quarter in which each minute follows on the one before it
    is kept as one, by the quarter of the day that the wall shows, so that a job looks at few of them.
    """

    def __init__(self, zone: str, start: datetime, end: datetime) -> None:
        self._plain: dict[tuple[int, int], list[tuple[datetime, datetime]]] = {}
        self._odd: list[tuple[datetime, datetime, int]] = []
        place, quarter = ZoneInfo(zone), start
        virtual = datetime(1, 1, 1)  # noqa: DTZ001  a wall's time has no zone
        while quarter < end:
            wall = (quarter + (quarter.astimezone(place).utcoffset() or timedelta())).replace(tzinfo=None)
            apart = int((wall - virtual) / MINUTE)
            if apart == 1 or apart > THREE_HOURS or apart <= -THREE_HOURS:
                self._plain.setdefault((wall.hour, wall.minute // 15), []).append((quarter, wall))
                virtual = wall + 14 * MINUTE
            else:
                virtual = self._oddly(quarter, wall, virtual)
            quarter += 15 * MINUTE

    def _oddly(self, quarter: datetime, wall: datetime, virtual: datetime) -> datetime:
        """Go through a quarter that begins before the virtual time, or after it; returned is the new one."""
        for number in range(15):
            instant, shown = quarter + number * MINUTE, wall + number * MINUTE
            apart = int((shown - virtual) / MINUTE)
            self._odd.append((instant, shown, apart))
            assert apart <= 1 or apart > 5  # cron catches up otherwise; no place changes clocks by so little
            if apart > 0:
                virtual = shown
        return virtual

    def fires(self, job: Job) -> list[datetime]:
        """Every instant at which cron would start the job, UTC, each once."""
        found = [
            quarter + minute % 15 * MINUTE
            for hour in job.hours
            for minute in job.minutes
            for quarter, wall in self._plain.get((hour, minute // 15), ())
            if job.is_due(wall + minute % 15 * MINUTE)
        ]
        for instant, wall, apart in self._odd:
            made_up = (wall - n * MINUTE for n in range(apart))
            if job.is_due(wall) if job.wild else any(map(job.is_due, made_up)):
                found.append(instant)
        return sorted(found)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
