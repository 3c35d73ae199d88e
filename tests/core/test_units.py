from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.units import (
    format_duration,
    format_size,
    format_time,
    parse_duration,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("1y", timedelta(days=365)),
        ("1w2d", timedelta(days=9)),
        ("1y1w1d1h1m", timedelta(days=373, hours=1, minutes=1)),
        ("0h", timedelta()),
        ("007d", timedelta(days=7)),
    ],
)
def test_a_duration_is_read_with_its_units(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30", "30 what? Write 30d"),
        ("0", "0 what? Write 0h"),
        ("30 days", "write 30d"),
        ("30days", "write 30d"),
        ("1 day", "write 1d"),
        ("2 weeks", "write 2w"),
        ("12hrs", "write 12h"),
        ("90min", "write 90m"),
        ("30D", "write 30d"),
        ("30 d", "write 30d"),
        (" 30d", "write 30d"),
        ("1M", "minutes are written 1m; months have no unit"),
        ("3mo", "months have no unit"),
        ("3 months", "months have no unit"),
        ("90s", "seconds have no unit"),
        ("1.5d", "whole numbers"),
        ("2d1w", "the larger first"),
        ("1d1d", "each unit stands once"),
        ("-3d", "is no duration"),
        ("P30D", "is no duration"),
        ("", "'' is no duration"),
        ("d", "is no duration"),
        ("30d\n", "write 30d"),
        ("1d 2h", "is no duration"),
        ("٣d", "is no duration"),
        ("9" * 12 + "y", "longer than any time"),
        ("9" * 60 + "m", "longer than any time"),
        ("9" * 5000 + "d", "is no duration"),
    ],
)
def test_a_wrong_duration_is_answered_with_what_is_meant(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(meant)) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0m"),
        (timedelta(days=9), "9d"),
        (timedelta(days=365), "365d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(days=100, hours=1), "100d1h"),
        (timedelta(days=3, hours=4, minutes=5, seconds=6, microseconds=7), "3d4h5m6s"),
        (timedelta(seconds=5), "5s"),
        (timedelta(hours=-12), "-12h"),
    ],
)
def test_a_duration_is_printed_short(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(0, 60 * 24 * 365 * 100))
def test_a_printed_duration_of_whole_minutes_is_read_as_the_same(minutes: int) -> None:
    duration = timedelta(minutes=minutes)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("512B", 512),
        ("1kB", 1000),
        ("1KB", 1000),
        ("500MB", 500_000_000),
        ("2GB", 2_000_000_000),
        ("3TB", 3_000_000_000_000),
        ("1KiB", 1024),
        ("1MiB", 1024**2),
        ("2GiB", 2 * 1024**3),
        ("1TiB", 1024**4),
        ("1.5GiB", 3 * 1024**3 // 2),
        ("0.1GB", 100_000_000),
        ("0.3KiB", 307),
    ],
)
def test_sizes_tell_1000_from_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("500", "500 what? Write 500MB"),
        ("0", "0 what? Write 0B"),
        ("2G", "write 2GB (1000s) or 2GiB (1024s)"),
        ("2k", "write 2KB (1000s) or 2KiB (1024s)"),
        ("2gb", "write 2GB"),
        ("2gib", "write 2GiB"),
        ("2 GiB", "write 2GiB"),
        ("1,5GB", "is no size"),
        ("-1GB", "is no size"),
        ("1.GB", "is no size"),
        (".5GB", "is no size"),
        ("", "'' is no size"),
        ("GiB", "is no size"),
        ("2parsecs", "is no size"),
        ("1GB\n", "write 1GB"),
        ("9999999999TB", "more than any registry"),
        ("9" * 5000 + "B", "is no size"),
    ],
)
def test_a_wrong_size_is_answered_with_what_is_meant(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(meant)) as caught:
        parse_size(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_288_490_189, "1.2 GiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**5 * 3, "3072.0 TiB"),
    ],
)
def test_a_size_is_printed_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-06-01T00:00:00Z", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T02:00:00+02:00", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01t00:00:00z", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01 00:00:00Z", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T00:00:00.123456789Z", datetime(2026, 6, 1, microsecond=123456, tzinfo=UTC)),
        ("2026-06-01T00:00:00.5Z", datetime(2026, 6, 1, microsecond=500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_rfc_3339(text: str, time: datetime) -> None:
    read = parse_time(text)
    assert read == time
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-06-01", "a time is written 2026-06-01T00:00:00Z"),
        ("2026-06-01T00:00:00", "lacks its offset; write 2026-06-01T00:00:00Z"),
        ("2026-06-01 00:00:00", "lacks its offset; write 2026-06-01T00:00:00Z"),
        ("2026-13-01T00:00:00Z", "calendar"),
        ("2026-06-01T00:00:60Z", "calendar"),
        ("0001-01-01T00:00:00+05:00", "calendar"),
        ("9999-12-31T23:59:59-05:00", "calendar"),
        ("yesterday", "is no time"),
        ("", "'' is no time"),
        ("2026-W01-1T00:00:00Z", "is no time"),
        ("2026-06-01T00:00:00." + "1" * 1000 + "Z", "is no time"),
    ],
)
def test_a_wrong_time_is_answered_with_what_is_meant(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(meant)) as caught:
        parse_time(text)
    assert len(str(caught.value)) < 300


def test_a_time_is_printed_in_utc() -> None:
    time = datetime(2026, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(time) == "2026-06-01T00:00:00Z"


def test_a_time_without_a_timezone_is_not_printed() -> None:
    with pytest.raises(ValueError, match="timezone"):
        format_time(datetime(2026, 6, 1))  # noqa: DTZ001 - the mistake that is tested


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_printed_time_is_read_as_the_same(time: datetime) -> None:
    assert parse_time(format_time(time)) == time


@given(st.text())
def test_no_text_breaks_the_reading_of_units(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_time):
        with suppress(ValueError):
            parse(text)
