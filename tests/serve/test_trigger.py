"""The trigger against Debian's cron: cases written down, and two years of every minute in many places."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janitor.policyfile.cron import cron_problem
from janitor.serve.trigger import Cron
from tests.serve.cronrules import MINUTE, Job, Walk, utc

# Where clocks change, and the first of two years in which they do: by half an hour, at midnight, for
# Ramadan, by two hours, by three, and over the date line.
PLACES = {
    "Europe/Berlin": 2025,
    "America/New_York": 2025,
    "Australia/Lord_Howe": 2025,
    "Africa/Casablanca": 2025,
    "America/Santiago": 2025,
    "Africa/Cairo": 2024,
    "Antarctica/Troll": 2025,
    "Antarctica/Casey": 2009,
    "Pacific/Apia": 2011,
    "UTC": 2025,
}
EXPRESSIONS = (
    "30 2 * * *",
    "0 0 * * *",
    "15 3 * * *",
    "0,30 2 * * *",
    "5,35 1-3 * * *",
    "*/15 2 * * *",
    "0 */2 * * *",
    "5 * * * *",
    "*/25 0-4 * * *",
    "30 2 * * 0",
    "30 2 * * 7",
    "0 0 1 * *",
    "15 2 1-7 * 7",
    "15 2 */2 * 1",
    "45 23 * 3,10 1-5",
)


@cache
def walked(zone: str) -> Walk:
    year = PLACES[zone]
    return Walk(zone, utc(year, 1, 1), utc(year + 2, 1, 1))


@cache
def fires(zone: str, expression: str) -> list[datetime]:
    return walked(zone).fires(Job.read(expression))


def following(zone: str, expression: str, after: datetime) -> datetime:
    found = fires(zone, expression)
    return found[bisect_right(found, after)]


def walls(expression: str, zone: str, after: datetime, count: int) -> list[str]:
    """The next times, as the clock on the wall shows them."""
    times = islice(Cron(expression, zone).times(after), count)
    return [f"{time.astimezone(ZoneInfo(zone)):%m-%d %H:%M %z}" for time in times]


@pytest.mark.parametrize("zone", PLACES)
def test_two_years_are_as_debians_cron_would_have_them(zone: str) -> None:
    year = PLACES[zone]
    for expression in EXPRESSIONS:
        ours = Cron(expression, zone).times(utc(year, 1, 1) - MINUTE)
        times = list(takewhile(lambda time: time < utc(year + 2, 1, 1), ours))
        assert times == fires(zone, expression), expression


@settings(max_examples=100)
@given(
    zone=st.sampled_from(sorted(PLACES)),
    expression=st.sampled_from(EXPRESSIONS),
    minutes=st.integers(0, 600 * 24 * 60),
)
def test_from_any_minute_on_the_next_time_is_the_same(zone: str, expression: str, minutes: int) -> None:
    after = utc(PLACES[zone], 1, 1) + minutes * MINUTE
    assert Cron(expression, zone).get_next_fire_time(None, after) == following(zone, expression, after)


@pytest.mark.parametrize("zone", sorted(PLACES))
@pytest.mark.parametrize("expression", ["30 2 * * *", "*/20 * * * *", "0 0 * * *"])
def test_through_a_change_of_clocks_the_next_time_is_the_same_from_everywhere(
    zone: str, expression: str
) -> None:
    """The daemon asks anew after each start, in the middle of an hour that comes twice too."""
    place, cron = ZoneInfo(zone), Cron(expression, zone)
    days = [utc(PLACES[zone], 1, 1) + timedelta(days=day) for day in range(700)]
    offsets = [day.astimezone(place).utcoffset() for day in days]
    changing = [
        day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after
    ]
    for day in changing:
        for minute in range(0, 24 * 60, 15):
            after = day + minute * MINUTE
            assert cron.get_next_fire_time(None, after) == following(zone, expression, after), after


def test_half_past_two_comes_once_when_clocks_go_back() -> None:
    assert walls("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), 2) == [
        "10-25 02:30 +0200",
        "10-26 02:30 +0100",
    ]


def test_half_past_two_is_made_up_right_after_when_clocks_go_forward() -> None:
    assert walls("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), 2) == [
        "03-29 03:00 +0200",
        "03-30 02:30 +0200",
    ]


def test_several_times_of_a_skipped_hour_are_made_up_as_one() -> None:
    assert walls("0,30 2,3 * * *", "Europe/Berlin", utc(2026, 3, 29, 0), 3) == [
        "03-29 03:00 +0200",
        "03-29 03:30 +0200",
        "03-30 02:00 +0200",
    ]


def test_every_hour_is_every_hour_when_clocks_change() -> None:
    assert walls("0 * * * *", "Europe/Berlin", utc(2026, 10, 24, 23, 30), 3) == [
        "10-25 02:00 +0200",
        "10-25 02:00 +0100",
        "10-25 03:00 +0100",
    ]


def test_clocks_that_change_by_half_an_hour_lose_nothing() -> None:
    assert walls("*/15 5 * * *", "Australia/Lord_Howe", utc(2026, 4, 4, 12), 2) == [
        "04-05 05:00 +1030",
        "04-05 05:15 +1030",
    ]
    assert walls("15 2 * * *", "Australia/Lord_Howe", utc(2026, 10, 3, 3), 2) == [
        "10-04 02:30 +1100",
        "10-05 02:15 +1100",
    ]


def test_a_day_that_begins_at_one_begins_all_the_same() -> None:
    assert walls("@daily", "America/Santiago", utc(2026, 9, 5, 12), 2) == [
        "09-06 01:00 -0300",
        "09-07 00:00 -0300",
    ]


def test_a_day_that_a_place_left_out_is_not_made_up() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    assert walls("30 2 * * *", "Pacific/Apia", utc(2011, 12, 29, 0), 3) == [
        "12-29 02:30 -1000",
        "12-31 02:30 +1400",
        "01-01 02:30 +1400",
    ]


@pytest.mark.parametrize("day", ["0", "7", "sun", "SUN"])
def test_nought_and_seven_are_sunday(day: str) -> None:
    assert walls(f"0 12 * * {day}", "UTC", utc(2026, 7, 1), 1) == ["07-05 12:00 +0000"]


def test_either_day_is_enough_where_both_are_given() -> None:
    assert walls("0 0 15 * 1", "UTC", utc(2026, 7, 10), 3) == [
        "07-13 00:00 +0000",
        "07-15 00:00 +0000",
        "07-20 00:00 +0000",
    ]


def test_both_days_must_hold_where_one_begins_with_a_star() -> None:
    assert walls("0 0 */2 * 1", "UTC", utc(2026, 7, 1), 2) == ["07-13 00:00 +0000", "07-27 00:00 +0000"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
    ],
)
def test_names_stand_for_fields(name: str, fields: str) -> None:
    after = utc(2026, 7, 1, 5)
    assert walls(name, "Europe/Berlin", after, 5) == walls(fields, "Europe/Berlin", after, 5)


def test_the_29th_of_february_is_waited_for() -> None:
    assert walls("0 0 29 2 *", "UTC", utc(2096, 3, 1), 1) == ["02-29 00:00 +0000"]  # of 2104


def test_times_of_the_same_minute_are_not_told_again() -> None:
    at = datetime(2026, 7, 1, 3, 15, 20, tzinfo=UTC)
    assert walls("15 3 * * *", "UTC", at, 1) == ["07-02 03:15 +0000"]
    assert walls("15 3 * * *", "UTC", at - timedelta(seconds=21), 1) == ["07-01 03:15 +0000"]


def test_the_last_time_is_told_if_it_was_not_too_long_ago() -> None:
    cron, six = Cron("15 3 * * *", "UTC"), timedelta(hours=6)
    due = utc(2026, 7, 1, 3, 15)
    assert cron.last(due, six) == due
    assert cron.last(due + six, six) == due
    assert cron.last(due + six + timedelta(seconds=1), six) is None
    assert cron.last(due - timedelta(seconds=1), six) is None
    assert Cron("*/5 * * * *", "UTC").last(due + timedelta(minutes=4), six) == due


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 2 */2", "0 0 31 4,6 *"])
def test_what_is_never_due_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ever due"):
        Cron(text, "UTC")
    assert "never" in cron_problem(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5/10 * * * *", "write 5-59/10"),
        ("50-10 * * * *", "goes backwards"),
        ("0 0 * * fri-sun", "goes backwards"),
        ("0 24 * * *", "no hour"),
        ("0 0 0 * *", "no day of the month"),
        ("*/0 * * * *", "no minute"),
        ("0 0 * * 8", "no day of the week"),
        ("0 0 L * *", "no day of the month"),
        ("0 0 * *", "five fields"),
        ("@reboot", "begin with @"),
    ],
)
def test_what_debians_cron_does_not_know_is_told(text: str, told: str) -> None:
    assert told in cron_problem(text)


_NUMBER = st.integers(0, 70).map(str)
_WORD = st.one_of(_NUMBER, st.sampled_from(["jan", "DEC", "sun", "Fri", "L", "*", "1#2", "LW", "", "?"]))
_PART = st.one_of(
    _WORD,
    st.tuples(_WORD, _WORD).map("-".join),
    st.tuples(_WORD, _NUMBER).map("/".join),
    st.tuples(st.tuples(_WORD, _WORD).map("-".join), _NUMBER).map("/".join),
)
_FIELD = st.one_of(st.just("*"), st.lists(_PART, min_size=1, max_size=3).map(",".join))


@given(st.lists(_FIELD, min_size=5, max_size=5).map(" ".join))
def test_what_policy_files_may_say_the_trigger_understands(text: str) -> None:
    if not cron_problem(text):
        assert Cron(text, "Europe/Berlin").get_next_fire_time(None, utc(2026, 1, 1)) is not None


@given(
    st.tuples(
        st.integers(0, 59), st.integers(0, 23), st.integers(1, 31), st.integers(1, 12), st.integers(0, 7)
    )
)
def test_numbers_mean_what_crontab_says_they_do(numbers: tuple[int, ...]) -> None:
    text = " ".join(map(str, numbers))
    assert cron_problem(text) == ""
    (time,) = islice(Cron(text, "UTC").times(utc(2026, 1, 1)), 1)
    assert Job.read(text).is_due(time.replace(tzinfo=None))
