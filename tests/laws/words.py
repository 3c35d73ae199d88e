"""The words of the policy language, read a second time: patterns, versions, durations, sizes, references.

Written from the language's description alone and with nothing of the program, slow and simple, so that two
readings of one text can be compared. Only well-formed words are understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

VersionKey = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]


def listed(value: object) -> list[str]:
    """'A list may be written as a single string.'"""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    assert isinstance(value, list)
    return [str(item) for item in value]


# --- patterns ---------------------------------------------------------------------------------------------


def glob_to_regex(glob: str, *, path: bool) -> str:
    """'a glob of the whole tag (`*` any run, `?` one, `[a-z]` a class, `{a,b}` either)'."""
    # It says 'Repository patterns: `*` stays within one path segment, `**` is any run of characters, `/` too'
    any_run, one = ("[^/]*", "[^/]") if path else (".*", ".")
    out, at = "", 0
    while at < len(glob):
        if path and glob.startswith("**", at):
            out, at = out + ".*", at + 2
            continue
        if glob[at] == "[":
            end = glob.index("]", at)
            out, at = out + glob[at : end + 1], end + 1
            continue
        out += {"*": any_run, "?": one, "{": "(?:", "}": ")", ",": "|"}.get(glob[at], re.escape(glob[at]))
        at += 1
    return out


def matches(pattern: str, text: str, *, path: bool = False) -> bool:
    """One pattern without its `!`."""
    if pattern.startswith("re:"):
        # It says '`re:` an RE2 expression of the whole tag'
        return re.fullmatch(pattern[3:], text) is not None
    if pattern.startswith("semver:"):
        return in_range(pattern[7:], text)
    return re.fullmatch(glob_to_regex(pattern, path=path), text, re.DOTALL) is not None


def selects(patterns: Iterable[str], text: str, *, path: bool = False) -> bool:
    """'a tag is selected when some pattern matches and no `!PATTERN` does'."""
    patterns = list(patterns)
    if any(matches(p[1:], text, path=path) for p in patterns if p.startswith("!")):
        return False
    return any(matches(p, text, path=path) for p in patterns if not p.startswith("!"))


def group_of(patterns: Iterable[str], tag: str, name: str) -> str | None:
    """'the first pattern that gives the group decides, and a tag that none gives one has an unknown
    group'."""
    for pattern in patterns:
        if pattern.startswith("!") or not matches(pattern, tag):
            continue
        # It says 'NAME is a named group of a `re:` pattern of the rule, or `major` / `minor` for `semver:`
        # patterns'
        if pattern.startswith("re:"):
            found = re.fullmatch(pattern[3:], tag)
            assert found is not None
            if found.groupdict().get(name) is not None:
                return found.group(name)
        if pattern.startswith("semver:") and name in {"major", "minor"}:
            key = version_key(tag)
            assert key is not None
            return f"{key[0]}" if name == "major" else f"{key[0]}.{key[1]}"
    return None


# --- versions ---------------------------------------------------------------------------------------------

_NUMBER = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PRE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_VERSION = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRE}))?(?:\+[0-9A-Za-z.-]+)?")
_PARTIAL = re.compile(
    rf"(>=|<=|>|<|=|\^|~)?\s*v?({_NUMBER}|[xX*])"
    rf"(?:\.({_NUMBER}|[xX*])(?:\.({_NUMBER}|[xX*])(?:-({_PRE}))?)?)?"
)


def _pre_key(pre: str | None) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """SemVer 11: a release is the greater; numbers before texts; numbers by value, texts by code point."""
    if pre is None:
        return 1, ()
    parts = pre.split(".")
    return 0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def version_key(tag: str) -> VersionKey | None:
    """'`1.2`, `1` and `2026.07.29` (leading zero) are no SemVer versions'; 'a leading `v` is allowed'."""
    found = _VERSION.fullmatch(tag)
    if found is None:
        return None
    release, pre = _pre_key(found[4])
    return int(found[1]), int(found[2]), int(found[3]), release, pre


def in_range(text: str, tag: str) -> bool:
    """'a SemVer range as npm's, without `||` and hyphen ranges, parts joined by a comma or spaces'."""
    version = version_key(tag)
    if version is None:
        return False
    is_release = version[3] == 1
    # It says '`semver:pre` takes every pre-release'
    if text == "pre":
        return not is_release
    parts = re.findall(r"(?:>=|<=|>|<|=|\^|~)?\s*[^\s,]+", text)
    bounds = [_bounds(part) for part in parts]
    if not all(low <= version < high for low, high, _ in bounds):
        return False
    # It says 'A range, `semver:*` too, takes releases only, and a pre-release only where it names one of the
    # same version (`>=1.4.0-0`)'
    return is_release or any(named == version[:3] for _, _, named in bounds)


_FIRST: VersionKey = (0, 0, 0, 0, ())
_NEVER: VersionKey = (10**99, 0, 0, 0, ())


def _before(*numbers: int) -> VersionKey:
    """Before this version and its pre-releases: '`^` and `~` end before the next version's pre-releases'."""
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch, 0, ()


def _just_after(version: VersionKey) -> VersionKey:
    """The smallest key above that version's."""
    major, minor, patch, release, pre = version
    return major, minor, patch, release, (*pre, (-1, 0, ""))


def _bounds(part: str) -> tuple[VersionKey, VersionKey, tuple[int, int, int] | None]:
    """The half-open range of one part, and the version of which it names a pre-release."""
    found = _PARTIAL.fullmatch(part.strip())
    assert found is not None, part
    sign = found[1] or "="
    numbers = []
    for number in (found[2], found[3], found[4]):
        if number is None or number in "xX*":
            break
        numbers.append(int(number))
    if not numbers:
        return _FIRST, _NEVER, None
    low = (*_before(*numbers)[:3], *_pre_key(found[5]))
    low_key: VersionKey = (low[0], low[1], low[2], low[3], low[4])
    named = (low[0], low[1], low[2]) if found[5] else None
    # What a partial version stands for ends before the next one: `1.4` is 1.4.x.
    whole = len(numbers) == 3
    end = _just_after(low_key) if whole else _before(*numbers[:-1], numbers[-1] + 1)
    if sign == "=":
        return low_key, end, named
    if sign == ">=":
        return low_key, _NEVER, named
    if sign == ">":
        return end, _NEVER, named
    if sign == "<":
        return _FIRST, low_key if whole else _before(*numbers), named
    if sign == "<=":
        return _FIRST, end, named
    if sign == "~":
        fixed = numbers[:2]
    else:
        # `^` may change nothing left of the first number that isn't zero.
        first = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
        fixed = numbers[: first + 1]
    return low_key, _before(*fixed[:-1], fixed[-1] + 1), named


# --- durations, sizes, times --------------------------------------------------------------------------------

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def duration(text: str) -> timedelta:
    """'Durations: `90m`, `12h`, `30d`, `2w`, `1y` (365 days), or joined (`1w2d`).'"""
    found = re.findall(r"([0-9]+)([mhdwy])", text)
    assert "".join(number + unit for number, unit in found) == text, text
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in found))


def size(text: str) -> int:
    """'Sizes: `500MB`, `2GiB`.'"""
    found = re.fullmatch(r"([0-9]+)([KMG]?i?B)", text)
    assert found is not None, text
    return int(found[1]) * _SIZES[found[2]]


def instant(text: str, timezone: str) -> datetime:
    """'a date is midnight in the policy's timezone'."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    return moment(text)


def moment(text: str) -> datetime:
    """'times are RFC 3339 UTC'."""
    return datetime.fromisoformat(text).astimezone(UTC)


# --- references ---------------------------------------------------------------------------------------------


def reference(text: str) -> tuple[str, str | None, str | None]:
    """Name with its host, tag, digest; 'neither tag nor digest given: `latest`'."""
    name, _, digest = text.partition("@")
    tag: str | None = None
    head, colon, tail = name.rpartition(":")
    if colon and "/" not in tail:
        name, tag = head, tail
    first, slash, _ = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    if tag is None and not digest:
        tag = "latest"
    return name, tag, digest or None
