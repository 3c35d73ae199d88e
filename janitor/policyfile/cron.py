"""Whether a text is a cron expression: five fields with values in their ranges, or a name.

When an expression is due, ``serve`` knows; here what can't be one, or would never be due, is told at its
place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NAMES = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Field(NamedTuple):
    """What a field is called, its least and greatest number, and the words for the numbers from the least."""

    name: str
    least: int
    greatest: int
    words: Sequence[str] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
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
    numbers: list[set[int]] = []
    for text_of, field in zip(fields, _FIELDS, strict=True):
        numbers.append(set())
        for part in text_of.split(","):
            meant = _meant(part, field)
            if isinstance(meant, str):
                return meant
            numbers[-1].update(meant)
    _, _, days, months, _ = numbers
    # Where neither begins with *, the day of the week alone is enough.
    both = fields[2].startswith("*") or fields[4].startswith("*")
    if both and min(days) > max(_LONGEST[month - 1] for month in months):
        return f"no such month has a day {min(days)}, so that it is never due"
    return ""


def _meant(part: str, field: _Field) -> range | str:
    """The numbers of a part, or what is wrong with it."""
    found = _PART.fullmatch(part)
    no = f'"{part}" is no {field.name}, which goes from {field.least} to {field.greatest}'
    step = 1 if found is None or found["step"] is None else int(found["step"])
    if found is None or step == 0:
        return no
    if found["first"] is None:
        return range(field.least, field.greatest + 1, step)
    first = _number(found["first"], field)
    last = first if found["last"] is None else _number(found["last"], field)
    if first is None or last is None:
        return no
    if last < first:
        return f'"{part}" goes backwards; {no}'
    if found["step"] is not None and found["last"] is None:
        return f'"{part}" has a step and no range: write {first}-{field.greatest}/{step}'
    return range(first, last + 1, step)


def _number(word: str, field: _Field) -> int | None:
    number = field.words.index(word) + field.least if word in field.words else -1
    if word.isdigit():
        number = int(word)
    return number if field.least <= number <= field.greatest else None
