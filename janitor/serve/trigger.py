"""When a cron expression is due, by the rules of Debian's cron.

- Five fields, or ``@daily`` and its kin; 0 and 7 are Sunday. Day of the month and day of the week: either is
  enough, unless one of the fields begins with ``*``, when both must hold.
- Where clocks go back by less than three hours, an expression whose minute and hour are both given is due
  once, the first time; where they go forward, what would have been due in between is due right after. One
  whose minute or hour begins with ``*`` goes by the clock on the wall, what is skipped being skipped and what
  comes twice being due twice.
- A larger change is a correction: the new time holds at once.

Which days, hours and minutes an expression means is cronsim's to say; it is asked for times without a zone,
and what hours that change make of them is done here (its own way skips times where clocks change by half an
hour, and makes up days that a place left out). ``from_crontab`` of APScheduler counts weekdays from Monday,
wants both days to hold, and is due twice when clocks go back.

Source: cron.c (``wakeupKind``), entry.c and crontab(5) of Debian's cron.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSim, CronSimError

_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# A change of the clock from which on it counts as set right.
_CORRECTION = timedelta(hours=3)
_MINUTE = timedelta(minutes=1)
# Offsets are looked at this often; no place has changed its clocks twice in a day.
_STEP = timedelta(days=1)
# Most expressions are due before a month is over, and who asks for the next time alone wants no more.
_LONGEST = timedelta(days=31)
# A 29th of February on a given weekday comes every 28 years, around 2100 every 40.
_HORIZON = timedelta(days=366 * 41)


class _Stretch(NamedTuple):
    """A time in which a place keeps its offset: from ``start`` to before ``end``, both UTC."""

    start: datetime
    end: datetime
    offset: timedelta

    @property
    def first(self) -> datetime:
        """What the clock on the wall shows at its start."""
        return _wall(self.start, self.offset)

    @property
    def last(self) -> datetime:
        """What it would show at its end, had the offset stayed."""
        return _wall(self.end, self.offset)


class Cron(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A cron expression in a timezone, as a trigger of APScheduler."""

    def __init__(self, expression: str, timezone: str) -> None:
        """Raise ValueError for an expression that is never due, or none."""
        self._fields = _NAMES.get(expression.lower(), expression)
        self._zone = ZoneInfo(timezone)
        minute, hour, *_ = self._fields.split()
        self._by_the_wall = minute.startswith("*") or hour.startswith("*")
        try:
            next(CronSim(self._fields, datetime(2000, 1, 1)))  # noqa: DTZ001  a time without a zone is wanted
        except (CronSimError, StopIteration):
            raise ValueError(f"{expression!r} is no cron expression that is ever due") from None

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first time after the one before, or after now; ``None`` for never."""
        return next(self.times(previous_fire_time or now), None)

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield every time after an instant, in order, UTC; it ends after some 40 years."""
        # What was due once before clocks went back is known from what was due before.
        start = after.astimezone(UTC).replace(second=0, microsecond=0)
        found = self._walled(start) if self._by_the_wall else self._given(start - _CORRECTION)
        yield from (time for time in found if time > after)

    def last(self, at: datetime, within: timedelta) -> datetime | None:
        """Return the latest time that is not after ``at``, and not longer before it than that."""
        latest = None
        for time in self.times(at - within - _MINUTE):
            if time > at:
                break
            latest = time
        return latest if latest is not None and at - latest <= within else None

    def _walled(self, start: datetime) -> Iterator[datetime]:
        for stretch in _stretches(self._zone, start):
            for wall in self._matches(stretch.first, stretch.last):
                yield _instant(wall, stretch.offset)

    def _given(self, start: datetime) -> Iterator[datetime]:
        reached: datetime | None = None  # on the wall: up to here, all that was due is done
        for stretch in _stretches(self._zone, start):
            begin = stretch.first
            if reached is not None and -_CORRECTION <= begin - reached < _CORRECTION:
                if next(self._matches(reached, begin), None) is not None:
                    yield stretch.start
                    begin += _MINUTE
                begin = max(begin, reached)
            for wall in self._matches(begin, stretch.last):
                yield _instant(wall, stretch.offset)
            reached = stretch.last

    def _matches(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield what is due on the wall from ``start`` to before ``end``."""
        if start >= end:
            return
        for wall in CronSim(self._fields, start - timedelta(seconds=1)):
            if wall >= end:
                return
            yield wall


def _stretches(zone: ZoneInfo, start: datetime) -> Iterator[_Stretch]:
    """Walk through the stretches of a zone, long ones in parts; the first begins at ``start``."""
    horizon = start + _HORIZON
    while start < horizon:
        offset = _offset(zone, start)
        end = start
        while _offset(zone, end + _STEP) == offset and end - start < _LONGEST:
            end += _STEP
        if _offset(zone, end + _STEP) != offset:
            end = _change(zone, end, offset)
        yield _Stretch(start, end, offset)
        start = end


def _change(zone: ZoneInfo, before: datetime, offset: timedelta) -> datetime:
    """Find the minute at which the offset is another, within a step after ``before``."""
    low, high = 0, _STEP // _MINUTE
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + middle * _MINUTE) == offset:
            low = middle
        else:
            high = middle
    return before + high * _MINUTE


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)


def _instant(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)
