"""SemVer versions and their ranges.

A version is one of SemVer 2.0.0, strictly: three numbers without leading zeroes, a pre-release, build
metadata; only a leading ``v`` may be added. ``1``, ``1.2`` and ``2026.07.29`` are no versions. A range is
written as npm writes it, its parts joined by a comma or spaces, all of which must hold; ``||`` and hyphen
ranges are left out. A range takes releases only, and a pre-release only where one of its comparators names a
pre-release of the same three numbers.

Sources: semver.org 2.0.0; the documentation of npm's semver for ranges.
"""

from __future__ import annotations

import math
import re
from functools import cached_property, lru_cache

import msgspec

# Parsing must stay cheap for any text; a tag has at most 128 characters.
_MAX_TEXT = 256

# How many numbers a whole version has.
_WHOLE = 3

_FIRST = frozenset("v0123456789")
_VERSION = re.compile(
    r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
).fullmatch

_Triple = tuple[int, int, int]
_Identifiers = tuple[tuple[int, int, str], ...]
_Precedence = tuple[int, int, int, _Identifiers]

# A precedence, or one with a 0 behind it, which lies right after that and before any other: so every range is
# half-open.
_Bound = tuple[int | float | _Identifiers, ...]
_LOWEST: _Bound = ()
_HIGHEST: _Bound = (math.inf,)

# Greater than every identifier of a pre-release: numbers are (0, n, ""), words (1, 0, word).
_RELEASE: _Identifiers = ((2, 0, ""),)


class Version(msgspec.Struct, frozen=True, dict=True):
    """One version, ordered by SemVer precedence.

    ``prerelease`` is what stands after the hyphen, ``rc.1``, or empty. Build metadata has no part in
    precedence and isn't kept: two versions that differ in it alone are equal.
    """

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @cached_property
    def precedence(self) -> _Precedence:
        """A key that sorts as versions do."""
        return (self.major, self.minor, self.patch, _identifiers(self.prerelease))

    def __lt__(self, other: Version) -> bool:
        return self.precedence < other.precedence

    def __le__(self, other: Version) -> bool:
        return self.precedence <= other.precedence

    def __gt__(self, other: Version) -> bool:
        return self.precedence > other.precedence

    def __ge__(self, other: Version) -> bool:
        return self.precedence >= other.precedence

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        return f"{text}-{self.prerelease}" if self.prerelease else text


class Range(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Versions whose precedence is not below ``lower`` and below ``upper``.

    ``named`` holds the three numbers of every version whose pre-release the range names.
    """

    text: str
    lower: _Bound
    upper: _Bound
    named: frozenset[_Triple]

    def contains(self, version: Version) -> bool:
        """Whether the version lies in the range; a pre-release only if the range names one of its version."""
        if version.prerelease and (version.major, version.minor, version.patch) not in self.named:
            return False
        return self.is_whole or self.lower <= version.precedence < self.upper

    @cached_property
    def is_whole(self) -> bool:
        """Whether every release lies in the range, and no pre-release."""
        return self.lower == _LOWEST and self.upper == _HIGHEST


# A repository's tags are asked for their version by matching, by groups and by ties; 4,096 hold most.
@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version | None:
    """Read a version; ``None`` if the text is none."""
    if text[:1] not in _FIRST or len(text) > _MAX_TEXT:
        return None
    match = _VERSION(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    if prerelease is None:
        return Version(int(major), int(minor), int(patch))
    if not all(map(_is_identifier, prerelease.split("."))):
        return None
    return Version(int(major), int(minor), int(patch), prerelease)


def parse_range(text: str) -> Range:
    """Read a range: ``*``, ``>=1.2.0,<2``, ``^1.4``, ``~1.4.2``, ``1.x``.

    ``ValueError``, with a sentence, for anything else, and for a range in which no version can lie.
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{text[:40]}… is too long for a range of versions")
    if "||" in text:
        raise ValueError(f"{text}: a range has no ||; write a pattern for each side")
    if _HYPHEN.search(text):
        raise ValueError(f"{text}: hyphen ranges aren't read; write >=1.2.0,<=2.0.0")
    lower, upper = _LOWEST, _HIGHEST
    named: set[_Triple] = set()
    for comparator in _comparators(text):
        low, high = _ends(comparator, text)
        lower, upper = max(lower, low), min(upper, high)
        if comparator.prerelease:
            major, minor, patch = comparator.numbers
            named.add((major, minor, patch))
    if lower >= upper:
        raise ValueError(f"{text}: all parts of a range must hold, and no version is in all of these")
    return Range(text=text, lower=lower, upper=upper, named=frozenset(named))


def _identifiers(prerelease: str) -> _Identifiers:
    if not prerelease:
        return _RELEASE
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in prerelease.split("."))


def _is_identifier(part: str) -> bool:
    return part != "" and not (part[0] == "0" and len(part) > 1 and part.isdecimal())


_HYPHEN = re.compile(r"\s-\s")
_NUMBER = r"0|[1-9][0-9]*|[xX*]"
_COMPARATOR = re.compile(
    r"(?P<operator>>=|<=|>|<|=|\^|~|)\s*"
    rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER})"
    r"(?:-(?P<prerelease>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?"
    r"(?=[\s,]|$)"
)
_JOINT = re.compile(r"\s*,\s*|\s+")


class _Comparator(msgspec.Struct, frozen=True):
    """An operator and the numbers that are written after it; fewer than three: the rest is open."""

    operator: str
    numbers: tuple[int, ...]
    prerelease: str


def _comparators(text: str) -> list[_Comparator]:
    """Cut a range into its parts."""
    stripped = text.strip()
    comparators: list[_Comparator] = []
    at = 0
    while True:
        match = _COMPARATOR.match(stripped, at)
        if match is None:
            raise ValueError(
                f"{text or repr(text)}: {stripped[at:] or 'an empty part'} is no part of a range of versions;"
                " they are written *, >=1.2.0, <2, ^1.4, ~1.4.2 or 1.x"
            )
        comparators.append(_comparator(match, text))
        at = match.end()
        if at == len(stripped):
            return comparators
        joint = _JOINT.match(stripped, at)
        at = joint.end() if joint else at


def _comparator(match: re.Match[str], text: str) -> _Comparator:
    written = [match[name] for name in ("major", "minor", "patch")]
    numbers: list[int] = []
    for number in written:
        if number is None or not number.isdecimal():
            break
        numbers.append(int(number))
    if any(number is not None and number.isdecimal() for number in written[len(numbers) :]):
        raise ValueError(f"{text}: after x or * no number can follow")
    prerelease = match["prerelease"] or ""
    if prerelease and (len(numbers) < _WHOLE or not all(map(_is_identifier, prerelease.split(".")))):
        raise ValueError(f"{text}: {match[0].strip()} names no pre-release of one version")
    return _Comparator(match["operator"], tuple(numbers), prerelease)


def _ends(comparator: _Comparator, text: str) -> tuple[_Bound, _Bound]:
    """The two ends that a comparator sets. Open numbers make it mean all that begin with the given ones."""
    operator, numbers = comparator.operator, comparator.numbers
    if not numbers:
        if operator in ("<", ">"):
            raise ValueError(f"{text}: no version is {operator}*")
        return _LOWEST, _HIGHEST
    last = len(numbers) - 1
    if operator == "^":
        place = next((place for place, number in enumerate(numbers) if number), last)
        return _start(comparator), _before_next(numbers, place)
    if operator == "~":
        return _start(comparator), _before_next(numbers, min(1, last))
    if len(numbers) == _WHOLE:
        return _ends_of_whole(operator, _start(comparator))
    match operator:
        case ">=":
            return _start(comparator), _HIGHEST
        case ">":
            return Version(*_next(numbers, last)).precedence, _HIGHEST
        case "<":
            return _LOWEST, _before(_filled(numbers))
        case "<=":
            return _LOWEST, _before_next(numbers, last)
    return _start(comparator), _before_next(numbers, last)


def _ends_of_whole(operator: str, version: _Bound) -> tuple[_Bound, _Bound]:
    match operator:
        case ">=":
            return version, _HIGHEST
        case ">":
            return (*version, 0), _HIGHEST
        case "<":
            return _LOWEST, version
        case "<=":
            return _LOWEST, (*version, 0)
    return version, (*version, 0)


def _start(comparator: _Comparator) -> _Bound:
    return Version(*_filled(comparator.numbers), comparator.prerelease).precedence


def _filled(numbers: tuple[int, ...]) -> _Triple:
    major, minor, patch = (*numbers, 0, 0)[:_WHOLE]
    return major, minor, patch


def _next(numbers: tuple[int, ...], place: int) -> _Triple:
    """The three numbers of the first version whose number at this place is greater."""
    return _filled((*numbers[:place], numbers[place] + 1))


def _before_next(numbers: tuple[int, ...], place: int) -> _Bound:
    return _before(_next(numbers, place))


def _before(numbers: _Triple) -> _Bound:
    """Right before the pre-releases of a version: 0 sorts before any other identifier."""
    return Version(*numbers, "0").precedence
