"""Whether a text looks like a cron expression: five fields with values in their ranges, or a name.

When an expression is due, ``serve`` knows; here what can't be one is told at its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# What the field is called, its least and greatest number, and the words for the numbers from the least on.
_FIELDS: Sequence[tuple[str, int, int, Sequence[str]]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)
_PART = re.compile(r"(?:\*|(?P<first>[0-9a-z]{1,3})(?:-(?P<last>[0-9a-z]{1,3}))?)(?:/(?P<step>[0-9]{1,3}))?")
_MAX_TEXT = 200


def cron_problem(text: str) -> str:
    """Return what is wrong with a cron expression, as a part of a sentence; empty where nothing is."""
    if text.startswith("@"):
        return "" if text.lower() in _NAMES else f"only {', '.join(sorted(_NAMES))} begin with @"
    fields = text.lower().split()
    if len(text) > _MAX_TEXT or len(fields) != len(_FIELDS):
        return "a cron expression has five fields: minute, hour, day of the month, month, day of the week"
    for field, (name, least, greatest, words) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _is_part(part, least, greatest, words):
                return f'"{part}" is no {name}, which goes from {least} to {greatest}'
    return ""


def _is_part(part: str, least: int, greatest: int, words: Sequence[str]) -> bool:
    found = _PART.fullmatch(part)
    if found is None or found["step"] == "0":
        return False
    numbers = [_number(word, least, words) for word in (found["first"], found["last"]) if word is not None]
    return all(number is not None and least <= number <= greatest for number in numbers)


def _number(word: str, least: int, words: Sequence[str]) -> int | None:
    if word in words:
        return words.index(word) + least
    return int(word) if word.isdigit() else None
