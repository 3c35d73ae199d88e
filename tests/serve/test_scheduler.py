"""What joins the line, when, and what doesn't."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile

import pytest

from janitor.core.policy import Schedule, Where
from janitor.serve.scheduler import Due, Scheduler
from janitor.serve.schedules import Planned
from janitor.serve.trigger import Cron
from tests.journeys.inprocess import Clock
from tests.serve.cronrules import utc

START = utc(2026, 7, 1, 12)


def planned(cron: str, timezone: str = "UTC") -> Planned:
    schedule = Schedule(cron=cron, timezone=timezone, where=Where(file="p.yaml", line=1))
    return Planned(name=f"{cron} {timezone}", schedule=schedule, cron=Cron(cron, timezone))


NIGHTLY, HOURLY = planned("15 3 * * *"), planned("0 * * * *")


class Desk:
    """A scheduler, and who runs its line."""

    def __init__(self, *schedules: Planned, served: dict[str, datetime] | None = None) -> None:
        self.clock = Clock(START)
        self.scheduler = Scheduler(self.clock)
        self.scheduler.make_up(schedules, served or {})

    def due(self) -> list[str]:
        self.scheduler.turn()
        return [f"{due.planned.name} {due.at:%d %H:%M}" for due in self.scheduler.line]

    def run(self, *, takes: timedelta = timedelta(0)) -> Due:
        """Run the first of the line."""
        self.scheduler.turn()
        due, since = self.scheduler.line[0], self.clock()
        self.clock.now += takes
        self.scheduler.done(due, since=since)
        return due

    def fired(self, until: datetime) -> Iterator[tuple[str, datetime]]:
        """Sleep to each time that is due, and run what is."""
        while (following := self.scheduler.next_time()) is not None and following < until:
            self.clock.now = max(self.clock.now, following)
            self.scheduler.turn()
            while self.scheduler.line:
                due = self.run()
                yield due.planned.name, due.at


def test_a_year_of_it_is_every_time_once_and_none_more() -> None:
    zones = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago")
    schedules = [planned(cron, zone) for zone in zones for cron in ("30 2 * * *", "0 0 * * 0", "0 */6 * * *")]
    until = START + timedelta(days=365)
    served = {each.name: START for each in schedules}
    seen: dict[str, list[datetime]] = {each.name: [] for each in schedules}
    for name, at in Desk(*schedules, served=served).fired(until):
        seen[name].append(at)
    for each in schedules:
        assert seen[each.name] == list(takewhile(lambda at: at < until, each.cron.times(START)))


def test_nothing_is_due_before_its_time() -> None:
    desk = Desk(NIGHTLY, served={NIGHTLY.name: START})
    desk.clock.now = utc(2026, 7, 2, 3, 14)
    assert desk.due() == []
    desk.clock.now = utc(2026, 7, 2, 3, 15)
    assert desk.due() == ["15 3 * * * UTC 02 03:15"]


@pytest.mark.parametrize(
    ("cron", "served", "due"),
    [
        ("0 7 * * *", None, True),
        ("0 6 * * *", None, True),
        ("59 5 * * *", None, False),
        ("0 7 * * *", utc(2026, 7, 1, 7), False),
        ("0 7 * * *", utc(2026, 6, 30, 7), True),
        ("0 12 * * *", None, True),
        ("0 13 * * *", None, False),
    ],
)
def test_at_the_start_a_last_time_that_nobody_served_is_made_up_within_six_hours(
    cron: str,
    served: datetime | None,
    due: bool,  # noqa: FBT001  a column of the table
) -> None:
    schedule = planned(cron)
    desk = Desk(schedule, served={} if served is None else {schedule.name: served})
    assert bool(desk.due()) is due


def test_of_several_missed_times_the_last_is_made_up_and_once() -> None:
    desk = Desk(HOURLY)
    assert desk.due() == ["0 * * * * UTC 01 12:00"]
    desk.run()
    assert desk.due() == []
    assert desk.scheduler.next_time() == utc(2026, 7, 1, 13)


def test_a_schedule_that_comes_due_several_times_while_another_runs_runs_once_for_all() -> None:
    desk = Desk(HOURLY, NIGHTLY, served={HOURLY.name: START, NIGHTLY.name: START})
    desk.clock.now = utc(2026, 7, 2, 3, 15)
    assert desk.due() == ["0 * * * * UTC 02 03:00", "15 3 * * * UTC 02 03:15"]
    desk.run()
    desk.run(takes=timedelta(hours=4))
    assert desk.due() == ["0 * * * * UTC 02 07:00"]
    desk.run()
    assert desk.due() == []


def test_one_that_waits_in_the_line_is_not_put_there_again() -> None:
    desk = Desk(HOURLY, NIGHTLY, served={HOURLY.name: START, NIGHTLY.name: START})
    desk.clock.now = utc(2026, 7, 2, 3, 15)
    desk.scheduler.turn()
    desk.run(takes=timedelta(hours=2))
    assert desk.due() == ["15 3 * * * UTC 02 03:15", "0 * * * * UTC 02 05:00"]
    desk.clock.advance(hours=23)
    assert [text.split(" UTC")[0] for text in desk.due()] == ["15 3 * * *", "0 * * * *"]


def test_what_waited_for_a_long_run_is_not_late() -> None:
    desk = Desk(HOURLY, NIGHTLY, served={HOURLY.name: START, NIGHTLY.name: START})
    desk.clock.now = utc(2026, 7, 2, 3)
    desk.run(takes=timedelta(hours=20))
    assert desk.due() == ["15 3 * * * UTC 02 03:15", "0 * * * * UTC 02 23:00"]


def test_what_passed_while_the_machine_slept_is_made_up_within_six_hours() -> None:
    desk = Desk(NIGHTLY, served={NIGHTLY.name: START})
    desk.clock.now = utc(2026, 7, 2, 9, 15)
    assert desk.due() == ["15 3 * * * UTC 02 03:15"]
    desk.run()
    desk.clock.now = utc(2026, 7, 3, 9, 17)
    assert desk.due() == []
    desk.clock.now = utc(2026, 7, 4, 3, 15)
    assert desk.due() == ["15 3 * * * UTC 04 03:15"]


def test_the_line_is_in_the_order_of_what_is_due() -> None:
    first, second = planned("5 12 * * *"), planned("4 12 * * *")
    desk = Desk(first, second, served={first.name: START, second.name: START})
    desk.clock.now = utc(2026, 7, 1, 12, 10)
    assert desk.due() == ["4 12 * * * UTC 01 12:04", "5 12 * * * UTC 01 12:05"]


def test_schedules_that_are_arranged_anew_begin_now_and_those_that_stay_go_on() -> None:
    desk = Desk(HOURLY, served={HOURLY.name: START})
    desk.clock.now = utc(2026, 7, 1, 13)
    desk.scheduler.arrange([HOURLY, planned("30 12 * * *")])
    assert desk.due() == ["0 * * * * UTC 01 13:00"]
    desk.scheduler.arrange([NIGHTLY])
    assert desk.due() == []
    assert desk.scheduler.next_time() == utc(2026, 7, 2, 3, 15)
    desk.scheduler.arrange([HOURLY])
    assert desk.scheduler.next_time() == utc(2026, 7, 1, 14)


def test_the_next_time_is_the_earliest() -> None:
    desk = Desk(NIGHTLY, planned("@yearly"), served={NIGHTLY.name: START})
    assert [desk.scheduler.next_time()] == list(islice(NIGHTLY.cron.times(START), 1))
