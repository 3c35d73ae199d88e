"""Nodes -> typed values, by the kind that a key's row gives: one function a kind.

Values come from the text that stands there: only ``true`` and ``false`` are booleans, a whole number has no
leading zero, a tag such as ``1.0`` stays a text, and a number without a unit is no duration. In rules, 0 says
nothing and is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from janitor.core.policy import Period
from janitor.core.units import parse_duration, parse_size
from janitor.policyfile.keys import PERIODS, Key, Kind, Table
from janitor.policyfile.nodes import Node, Scalar, shown
from janitor.policyfile.patternvalues import PATTERN_READERS
from janitor.policyfile.reader import Block, Reader, quoted

_Value = TypeVar("_Value")

_WHOLE = re.compile(r"0|[1-9][0-9]*")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)(?:[.][0-9]+)?")
_BOOLEANS = {"true": True, "false": False}
_BOOLEAN_LIKE = frozenset({"true", "yes", "on", "y", "1"}), frozenset({"false", "no", "off", "n", "0"})
_NUMBER_LIKE = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:[.][0-9]*)?(?:[eE][-+]?[0-9]+)?|0x[0-9a-fA-F]+|0o[0-7]+)")
# No registry holds more images; also keeps int() away from texts of a million digits.
_MAX_DIGITS = 15
_ADDRESS = re.compile(r"https?://[^\s/?#]+[^\s]*")


def read_values(reader: Reader, block: Block, table: Table) -> dict[str, Any]:
    """Read every value of a block whose kind is one of values; what went wrong is left out."""
    values: dict[str, Any] = {}
    for name, node in block.nodes.items():
        key = table[name]
        read = _READERS.get(key.kind)
        value = None if read is None else read(reader, node, key)
        if value is not None:
            values[name] = value
    return values


def read_value(reader: Reader, node: Node, key: Key) -> Any:
    """Read one value by its key's kind; ``None``: a problem was said."""
    return _READERS[key.kind](reader, node, key)


def _read_text(reader: Reader, node: Node, key: Key) -> str | None:
    """Read a text; numbers are taken as the text that stands there."""
    found = reader.scalar(node, key, "a text")
    if found is None:
        return None
    text, plain = found
    if plain and text in _BOOLEANS:
        reader.wrong(node, key, f"a text is wanted, not {text}", f'write "{text}"')
        return None
    if not text:
        reader.wrong(node, key, "the text is empty")
        return None
    return text


def _read_name(reader: Reader, node: Node, key: Key) -> str | None:
    """Read a name: a text that YAML, too, takes for one."""
    text = _read_text(reader, node, key)
    if text is None:
        return None
    if isinstance(node, Scalar) and node.plain and _NUMBER_LIKE.fullmatch(node.text):
        reader.wrong(node, key, f"a name is wanted, not the number {text}", f'write "{text}"')
        return None
    if text != text.strip():
        reader.wrong(node, key, "a name has no blanks around it")
        return None
    return text


def _read_texts(reader: Reader, node: Node, key: Key) -> tuple[str, ...] | None:
    """Read a list of texts, each as it stands there; a single text is a list of one."""
    return reader.each(node, key, reader.item)


def _read_path(reader: Reader, node: Node, key: Key) -> str | None:
    """Read a path or glob relative to the file; returns it relative to the working folder."""
    text = _read_text(reader, node, key)
    return None if text is None else _resolve(reader, text)


def _read_paths(reader: Reader, node: Node, key: Key) -> tuple[str, ...] | None:
    """Read a list of paths or globs relative to the file."""
    texts = _read_texts(reader, node, key)
    return None if texts is None else tuple(_resolve(reader, text) for text in texts)


def _read_choice(reader: Reader, node: Node, key: Key) -> str | None:
    """Read one of the key's choices."""
    found = reader.scalar(node, key, f"one of {', '.join(key.choices)}")
    return None if found is None else _chosen(reader, node, key, found[0])


def _read_choices(reader: Reader, node: Node, key: Key) -> tuple[str, ...] | None:
    """Read a list of the key's choices."""

    def one(item: Node, key: Key) -> str | None:
        text = reader.item(item, key)
        return None if text is None else _chosen(reader, item, key, text)

    return reader.each(node, key, one)


def _read_address(reader: Reader, node: Node, key: Key) -> str | None:
    """Read an http or https address; it may hold a credential, so no message repeats it."""
    text = _read_text(reader, node, key)
    if text is None or "${" in text or _ADDRESS.fullmatch(text):
        return text
    reader.wrong(node, key, "this is no address", "one begins with https:// or http://")
    return None


def _read_timezone(reader: Reader, node: Node, key: Key) -> str | None:
    """Read the name of a timezone of the IANA database."""
    text = _read_text(reader, node, key)
    if text is None or text == "UTC":
        return text
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most policies are in UTC

    try:
        ZoneInfo(text)
    except (ValueError, KeyError, OSError):
        near = reader.suggestion(text, _timezones())
        reader.wrong(node, key, f'"{shown(text)}" is no timezone', near or "one is written Europe/Berlin")
        return None
    return text


@cache
def _timezones() -> frozenset[str]:
    from zoneinfo import available_timezones  # noqa: PLC0415 - only mistakes walk through all of them

    return frozenset(available_timezones())


def _read_cron(reader: Reader, node: Node, key: Key) -> str | None:
    """Read a cron expression; that it is one is looked at lightly."""
    text = _read_text(reader, node, key)
    if text is None:
        return None
    from janitor.policyfile.cron import cron_problem  # noqa: PLC0415 - few files have schedules

    problem = cron_problem(text)
    if problem:
        reader.wrong(node, key, problem, 'one is written "15 3 * * *" or @daily')
        return None
    return text


def _read_boolean(reader: Reader, node: Node, key: Key) -> bool | None:
    """Read true or false; YAML 1.1's other words for them are none."""
    found = reader.scalar(node, key, "true or false")
    if found is None:
        return None
    text, plain = found
    if plain and text in _BOOLEANS:
        return _BOOLEANS[text]
    word = text.lower()
    hint = "write true" if word in _BOOLEAN_LIKE[0] else "write false" if word in _BOOLEAN_LIKE[1] else ""
    reader.wrong(node, key, f"true or false is wanted, not {quoted(node)}", hint)
    return None


def _read_true(reader: Reader, node: Node, key: Key) -> bool | None:
    """Read true; to say false of a selector would say nothing."""
    value = _read_boolean(reader, node, key)
    if value is False:
        reader.wrong(node, key, "only true can be said", "leave the key out")
        return None
    return value


def _read_version(reader: Reader, node: Node, key: Key) -> int | None:
    """Read the version of the language."""
    value = _whole(reader, node, key, "the version 1")
    if value is None or value == 1:
        return value
    reader.wrong(node, key, f"{value} is not a version that can be read here", "write version: 1")
    return None


def _read_count(reader: Reader, node: Node, key: Key) -> int | None:
    """Read a whole number from 1."""
    value = _whole(reader, node, key, "a whole number from 1")
    if value == 0:
        reader.wrong(node, key, "0 says nothing", "a count is at least 1")
        return None
    return value


def _read_number(reader: Reader, node: Node, key: Key) -> int | None:
    """Read a whole number from 0."""
    return _whole(reader, node, key, "a whole number from 0")


def _read_percent(reader: Reader, node: Node, key: Key) -> int | None:
    """Read a whole number from 0 to 100."""
    value = _whole(reader, node, key, "a whole number from 0 to 100")
    if value is not None and value > 100:  # noqa: PLR2004 - a percentage
        reader.wrong(node, key, f"{value} is more than 100")
        return None
    return value


def _read_rate(reader: Reader, node: Node, key: Key) -> float | None:
    """Read a number above 0."""
    found = reader.scalar(node, key, "a number above 0")
    if found is None:
        return None
    text, plain = found
    if not plain or len(text) > _MAX_DIGITS or not _DECIMAL.fullmatch(text):
        reader.wrong(node, key, f"a number above 0 is wanted, not {quoted(node)}")
        return None
    value = float(text)
    if value:
        return value
    reader.wrong(node, key, "0 would ask for nothing, ever", "leave the key out for no limit")
    return None


def _read_duration(reader: Reader, node: Node, key: Key) -> Any:
    """Read a duration above 0."""
    value = _read_duration_or_none(reader, node, key)
    if value is not None and not value:
        reader.wrong(node, key, "0 says nothing", "a duration in a rule is at least 1m")
        return None
    return value


def _read_duration_or_none(reader: Reader, node: Node, key: Key) -> Any:
    """Read a duration."""
    return _measure(reader, node, key, parse_duration)


def _read_size(reader: Reader, node: Node, key: Key) -> int | None:
    """Read a size in bytes, above 0."""
    value = _measure(reader, node, key, parse_size)
    if value == 0:
        reader.wrong(node, key, "0 says nothing", "a size in a rule is at least 1B")
        return None
    return value


def _read_instant(reader: Reader, node: Node, key: Key) -> str | None:
    """Read the text of a date or time; which instant it is, its timezone says."""
    found = reader.scalar(node, key, "a date or a time")
    return None if found is None else found[0]


def _read_periods(reader: Reader, node: Node, key: Key) -> tuple[tuple[Period, int], ...] | None:
    """Read how many hours, days, weeks, months and years are meant, the shorter period first."""
    before = len(reader.problems)
    block = reader.block(node, PERIODS, key.name)
    if block is None:
        return None
    if not block.node.entries:
        reader.wrong(node, key, "no period stands here", "one_per: {day: 7, week: 5}")
        return None
    counts = read_values(reader, block, PERIODS)
    if len(reader.problems) != before:
        return None
    return tuple((period, counts[period]) for period in Period if period in counts)


def _chosen(reader: Reader, node: Node, key: Key, text: str) -> str | None:
    if text in key.choices:
        return text
    reader.wrong(
        node,
        key,
        f"{quoted(node)} is none of {', '.join(key.choices)}",
        reader.suggestion(text, key.choices),
    )
    return None


def _whole(reader: Reader, node: Node, key: Key, wanted: str) -> int | None:
    found = reader.scalar(node, key, wanted)
    if found is None:
        return None
    text, plain = found
    if plain and _WHOLE.fullmatch(text):
        if len(text) <= _MAX_DIGITS:
            return int(text)
        reader.wrong(node, key, "this is more than anything that can be counted")
        return None
    plainer = text.replace("_", "").replace(",", "").lstrip("+0") or "0"
    readable = _WHOLE.fullmatch(plainer) and plainer != "0" and len(plainer) <= _MAX_DIGITS
    hint = f"write {plainer}" if readable else ""
    reader.wrong(node, key, f"{wanted} is wanted, not {quoted(node)}", hint)
    return None


def _measure(reader: Reader, node: Node, key: Key, parse: Callable[[str], _Value]) -> _Value | None:
    wanted = "a duration" if parse is parse_duration else "a size"
    found = reader.scalar(node, key, wanted)
    if found is None:
        return None
    try:
        return parse(found[0])
    except ValueError as error:
        reader.wrong(node, key, reader.told(error, found[0], node))
        return None


def _resolve(reader: Reader, path: str) -> str:
    if "${" in path:
        return path
    folder = reader.folder
    if re.search(r"[*?\[]", path):
        # The path is a glob, the folder is none.
        folder = re.sub(r"([*?\[])", r"[\1]", folder)
    return os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 - ** and globs, as texts


_READERS: Mapping[Kind, Callable[[Reader, Node, Key], Any]] = {
    Kind.TEXT: _read_text,
    Kind.NAME: _read_name,
    Kind.TEXTS: _read_texts,
    Kind.PATH: _read_path,
    Kind.PATHS: _read_paths,
    Kind.BOOLEAN: _read_boolean,
    Kind.TRUE: _read_true,
    Kind.VERSION: _read_version,
    Kind.COUNT: _read_count,
    Kind.NUMBER: _read_number,
    Kind.PERCENT: _read_percent,
    Kind.RATE: _read_rate,
    Kind.DURATION: _read_duration,
    Kind.DURATION_OR_NONE: _read_duration_or_none,
    Kind.SIZE: _read_size,
    Kind.INSTANT: _read_instant,
    Kind.PERIODS: _read_periods,
    Kind.CHOICE: _read_choice,
    Kind.CHOICES: _read_choices,
    Kind.TIMEZONE: _read_timezone,
    Kind.CRON: _read_cron,
    Kind.URL: _read_address,
    **PATTERN_READERS,
}
