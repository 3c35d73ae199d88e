"""Durations, sizes and times: text to values and back.

Rules: a number always carries its unit, so that nobody deletes after 30 minutes what should stay 30 days;
sizes tell 1000 from 1024; times are RFC 3339 with an offset and come out in UTC. A wrong text is a
``ValueError`` whose message is a sentence that says what is meant. 0 is a value here: where it makes no
sense, the caller refuses it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DURATION_UNITS = {
    "y": timedelta(days=365),
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
}
_DURATION_HELP = "m minutes, h hours, d days, w weeks, y years of 365 days"

# How people write a unit that is written otherwise here; "" has no unit of its own.
_DURATION_MEANT = {
    "minute": "m",
    "min": "m",
    "hour": "h",
    "hr": "h",
    "day": "d",
    "week": "w",
    "wk": "w",
    "year": "y",
    "yr": "y",
}

_SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_SIZE_HELP = "B, kB, MB, GB, TB count in 1000s, KiB, MiB, GiB, TiB in 1024s"
_SIZE_STEPS = ("KiB", "MiB", "GiB", "TiB")
_STEP = 1024

# No registry counts further than a signed 64-bit number.
_MAX_SIZE = 2**63 - 1

# Longer than any right value of these kinds; keeps int() and error messages small.
_MAX_TEXT = 64

# From here on a duration reads better in two units: 36h, but 100d1h.
_LARGE_COUNT = 100

_PARTS = re.compile(r"([0-9]+)([a-zA-Z]+)")
_DURATION = re.compile(r"(?:[0-9]+[a-zA-Z]+)+")
# Seldom looked for, and so compiled when they first are.
_NUMBER_AND_WORD = r"([0-9]+(?:[.][0-9]+)?)\s*([a-zA-Z]*)"
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]+)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


# Policies repeat their durations.
@lru_cache(maxsize=1024)
def parse_duration(text: str) -> timedelta:
    """Read ``90m``, ``12h``, ``30d``, ``2w``, ``1y`` (365 days), or joined ones, the larger unit first."""
    if len(text) > _MAX_TEXT or not _DURATION.fullmatch(text):
        raise ValueError(_wrong_duration(text))
    parts: list[tuple[str, str]] = _PARTS.findall(text)
    units = [unit for _, unit in parts]
    if any(unit not in _DURATION_UNITS for unit in units):
        raise ValueError(_wrong_duration(text))
    order = [unit for unit in _DURATION_UNITS if unit in units]
    if units != order:
        raise ValueError(f"{text}: each unit stands once, the larger first, as in 1w2d")
    try:
        return sum((int(number) * _DURATION_UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError:
        raise ValueError(f"{text} is longer than any time that can be counted") from None


def format_duration(duration: timedelta) -> str:
    """Print exactly and short: ``30d``, ``36h``, ``90m``, ``100d1h``.

    What :func:`parse_duration` reads comes back to the same value. Seconds, which it doesn't read, are
    printed as ``s``; fractions of a second are dropped.
    """
    seconds = duration // timedelta(seconds=1)
    if seconds < 0:
        return "-" + format_duration(-duration)
    if seconds == 0:
        return "0m"
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        count, rest = divmod(seconds, length)
        if rest == 0 and (unit == "d" or count < _LARGE_COUNT):
            return f"{count}{unit}"
    text = ""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            text += f"{count}{unit}"
    return text


def parse_size(text: str) -> int:
    """Read ``500MB`` (1000s) or ``2GiB`` (1024s), decimals allowed, as bytes, rounded down."""
    match = re.fullmatch(_NUMBER_AND_WORD, text) if len(text) <= _MAX_TEXT else None
    if match is None or match[2] not in _SIZE_UNITS or match[1] + match[2] != text:
        raise ValueError(_wrong_size(text))
    from fractions import Fraction  # noqa: PLC0415 - a millisecond that few policies need

    size = int(Fraction(match[1]) * _SIZE_UNITS[match[2]])
    if size > _MAX_SIZE:
        raise ValueError(f"{text} is more than any registry can hold")
    return size


def format_size(size: int) -> str:
    """Print bytes for people: ``512 B``, ``1.2 GiB``; units of 1024, one decimal."""
    if abs(size) < _STEP:
        return f"{size} B"
    value = size / _STEP
    unit, *larger = _SIZE_STEPS
    # 1023.96 would be printed as 1024.0, which is 1.0 of the next unit.
    while larger and round(abs(value), 1) >= _STEP:
        value /= _STEP
        unit, *larger = larger
    return f"{value:.1f} {unit}"


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, with its offset, as an aware UTC datetime; digits past microseconds are cut."""
    match = re.fullmatch(_TIME, text) if len(text) <= _MAX_TEXT else None
    if match is None:
        if re.fullmatch(_DATE, text):
            raise ValueError(f"{text} is a date; a time is written {text}T00:00:00Z")
        raise ValueError(f"{_shown(text)} is no time; one is written 2026-06-01T00:00:00Z")
    if match["offset"] is None:
        raise ValueError(f"{text} lacks its offset; write {text.replace(' ', 'T')}Z if it is in UTC")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no time of any calendar day") from None


def format_time(time: datetime) -> str:
    """Print an aware datetime as RFC 3339 in UTC, ``2026-06-01T00:00:00Z``; microseconds where it has any."""
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} lacks its timezone")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _shown(text: str) -> str:
    """The text as it stands in a message: quoted when empty or blank, cut when long."""
    if len(text) > _MAX_TEXT:
        return text[:_MAX_TEXT] + "…"
    return text if text.strip() == text != "" else repr(text)


def _wrong_duration(text: str) -> str:
    shown = _shown(text)
    fallback = f"{shown} is no duration; one is written 30d or 1w2d ({_DURATION_HELP})"
    match = re.fullmatch(_NUMBER_AND_WORD, text.strip()) if len(text) <= _MAX_TEXT else None
    if match is None:
        return fallback
    number, word = match.groups()
    if not word:
        return f"{shown} what? Write {number}{'h' if number == '0' else 'd'} ({_DURATION_HELP})"
    if word == "M" or word.lower().rstrip("s") in ("mo", "month"):
        return f"{shown}: minutes are written {number}m; months have no unit, write days, as in 30d"
    if word.lower() in ("s", "sec", "secs", "second", "seconds"):
        return f"{shown}: seconds have no unit; the smallest is m, minutes"
    if "." in number:
        return f"{shown}: durations are whole numbers; write 36h instead of 1.5d ({_DURATION_HELP})"
    lower = word.lower()
    unit = lower if lower in _DURATION_UNITS else _DURATION_MEANT.get(lower.removesuffix("s"))
    return f"{shown}: write {number}{unit} ({_DURATION_HELP})" if unit else fallback


def _wrong_size(text: str) -> str:
    shown = _shown(text)
    fallback = f"{shown} is no size; one is written 500MB or 2GiB ({_SIZE_HELP})"
    match = re.fullmatch(_NUMBER_AND_WORD, text.strip()) if len(text) <= _MAX_TEXT else None
    if match is None:
        return fallback
    number, word = match.groups()
    if not word:
        return f"{shown} what? Write {number}{'B' if number == '0' else 'MB'} ({_SIZE_HELP})"
    letter = word[0].upper()
    if len(word) == 1 and letter in "KMGT":
        return f"{shown}: write {number}{letter}B (1000s) or {number}{letter}iB (1024s)"
    for unit in _SIZE_UNITS:
        if unit.lower() == word.lower():
            return f"{shown}: write {number}{unit} ({_SIZE_HELP})"
    return fallback
