"""The counting conditions: newest, size added up, one a period; in the whole repository or in groups.

A rank counts images, not tags, and counts every image that the rule's selectors choose, whatever else
protects or takes it. Who has no place in it: an image whose value is unknown, one that is chosen only because
a selector could not tell, an orphan (but in a rule on orphans), and one in the archive. For these the
condition itself is unknown: they are kept by ``keep`` rules and spared by ``delete`` rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from janitor.core.facts import Facts
from janitor.core.pattern import PatternList, groups_of
from janitor.core.policy import Condition, OrderBy, Period, Rule, Side
from janitor.core.selection import Chosen, Slots
from janitor.core.version import Version, parse_version

_TieBreak = tuple[tuple[Version, ...], str, str]


class Ranks:
    """The images that a rule chooses, newest first, in each group; made once for all conditions of a rule."""

    __slots__ = ("_facts", "_groups", "_slots", "_unplaced", "_zone")

    def __init__(self, rule: Rule, chosen: Chosen, slots: Slots, facts: Facts, timezone: str) -> None:
        self._facts = facts
        self._slots = slots
        self._zone = ZoneInfo(timezone)
        self._unplaced: set[int] = set()
        by_version = rule.order_by is OrderBy.VERSION
        # Of each group its images, newest first, and its slots.
        self._groups: list[tuple[list[int], list[int]]] = (
            self._by_version(rule, chosen) if by_version else self._by_value(rule, chosen)
        )

    def _placed(self, rule: Rule, chosen: Chosen) -> list[int]:
        """The chosen slots that can have a place; the others are set aside."""
        outside = chosen.unsure | self._facts.in_archive
        if not rule.select.orphaned:
            outside |= self._facts.shape.orphans
        return self._without(outside, chosen.slots) if outside else chosen.slots

    def _without(self, images: AbstractSet[int], slots: list[int]) -> list[int]:
        """Set the slots of these images aside."""
        image = self._slots.image
        self._unplaced.update([s for s in slots if image[s] in images])
        return [s for s in slots if image[s] not in images]

    def _grouped(self, rule: Rule, placed: list[int]) -> Iterable[list[int]]:
        """The slots of each group, in their order; those of an unknown group are set aside."""
        if rule.group_by is None:
            return [placed]
        patterns = rule.select.tags or PatternList(patterns=rule.select.tags_all)
        groups: dict[str, list[int]] = {}
        tags = [self._slots.tag[s] or "" for s in placed]
        for s, group in zip(placed, groups_of(patterns, tags, rule.group_by), strict=True):
            if group is None:
                self._unplaced.add(s)
            elif group in groups:
                groups[group].append(s)
            else:
                groups[group] = [s]
        return groups.values()

    def _by_version(self, rule: Rule, chosen: Chosen) -> list[tuple[list[int], list[int]]]:
        """An image's version is the greatest in its group, so that each group is sorted by itself."""
        groups = []
        for slots in self._grouped(rule, self._placed(rule, chosen)):
            ties = _Ties(slots, self._slots, self._facts)
            ordered = sorted(filter(ties.version, ties.images), key=ties, reverse=True)
            groups.append((ordered, self._without(ties.images.keys() - set(ordered), slots)))
        return groups

    def _by_value(self, rule: Rule, chosen: Chosen) -> list[tuple[list[int], list[int]]]:
        """A time is an image's own: all are sorted once, and only equal ones by what they are in a group."""
        image, value = self._slots.image, self._facts.lookup(rule.order_by)
        placed = self._placed(rule, chosen)
        values = [value(image[s]) for s in placed]
        known = {s: at for s, at in zip(placed, values, strict=True) if at is not None}
        if len(known) != len(placed):
            self._unplaced.update(known.keys() ^ placed)
        are_distinct = len(set(values)) == len(values)
        groups = []
        for slots in self._grouped(rule, sorted(known, key=known.__getitem__, reverse=True)):
            ordered = [image[s] for s in slots]
            if not are_distinct:
                ordered = list(dict.fromkeys(ordered))
                ordered = _untied(ordered, value, _Ties(slots, self._slots, self._facts))
            groups.append((ordered, slots))
        return groups

    def holding(self, condition: Condition, side: Side) -> set[int]:
        """The slots for which one counting condition holds on this side."""
        keeping = side is Side.KEEP
        image, counting = self._slots.image, _COUNTING[condition.key]
        held = set(self._unplaced) if keeping else set()
        for ordered, slots in self._groups:
            within, unknown = counting(self._facts, ordered, condition, self._zone)
            inside = within | unknown
            held.update([s for s in slots if (image[s] in inside) is keeping])
        return held


_Answer = tuple[set[int], set[int]]


def _newest(_facts: Facts, ordered: list[int], condition: Condition, _zone: ZoneInfo) -> _Answer:
    return set(ordered[: cast("int", condition.value)]), set()


def _within_size(facts: Facts, ordered: list[int], condition: Condition, _zone: ZoneInfo) -> _Answer:
    most = cast("int", condition.value)
    fitting: set[int] = set()
    unsure: set[int] = set()
    total = 0
    for i in ordered:
        size = facts.size(i)
        if size is None:
            unsure.add(i)
            continue
        # Once one does not fit, the sum stays above the most: all after it are beyond too.
        total += size
        if total <= most:
            fitting.add(i)
    return fitting, unsure


def _one_per(facts: Facts, ordered: list[int], condition: Condition, zone: ZoneInfo) -> _Answer:
    times = {i: at for i in ordered if (at := facts.times[i]) is not None}
    ranked = list(times)
    # Periods go by the image's time, whatever newest means; the sort is stable, so that the rank breaks ties.
    by_time = sorted(ranked, key=times.__getitem__, reverse=True)
    rank = None if by_time == ranked else {i: n for n, i in enumerate(ranked)}.__getitem__
    ages = [-times[i] for i in by_time]
    kept: set[int] = set()
    for period, wanted in cast("tuple[tuple[Period, int], ...]", condition.value):
        found = start = 0
        # A period is a run of the images by time: only its newest is turned into a date.
        while start < len(by_time) and found < wanted:
            begun = _BEGINNING[period](datetime.fromtimestamp(-ages[start], zone)).timestamp()
            end = bisect_right(ages, -begun, start)
            kept.add(by_time[start] if rank is None else min(by_time[start:end], key=rank))
            start = end
            found += 1
        if found < wanted:
            kept.update(ranked[-1:])
    return kept, set(ordered) - times.keys()


# For each counting condition: of a group's images, newest first, those within and those nobody knows of.
_COUNTING: Mapping[str, Callable[[Facts, list[int], Condition, ZoneInfo], _Answer]] = {
    "newest": _newest,
    "beyond_newest": _newest,
    "within_size": _within_size,
    "beyond_size": _within_size,
    "one_per": _one_per,
}


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0, fold=0)


def _day(at: datetime) -> datetime:
    return _hour(at).replace(hour=0)


# When the period of a moment began, in the moment's zone; an hour that the clock repeats is one.
_BEGINNING: Mapping[Period, Callable[[datetime], datetime]] = {
    Period.HOUR: _hour,
    Period.DAY: _day,
    Period.WEEK: lambda at: _day(at) - timedelta(days=at.weekday()),
    Period.MONTH: lambda at: _day(at).replace(day=1),
    Period.YEAR: lambda at: _day(at).replace(month=1, day=1),
}


class _Ties:
    """What decides between equals: the greatest version, then the greatest tag, then the digest.

    ``images``: of each image of a group, its slots there.
    """

    __slots__ = ("_facts", "_slots", "images")

    def __init__(self, group: Iterable[int], slots: Slots, facts: Facts) -> None:
        self._slots = slots
        self._facts = facts
        self.images: dict[int, list[int]] = {}
        for s in group:
            self.images.setdefault(slots.image[s], []).append(s)

    def version(self, i: int) -> tuple[Version, ...]:
        """The greatest version among the image's slots, as a tuple of one; empty where none is a version."""
        return _greatest_version(self._slots.tag[s] for s in self.images[i])

    def __call__(self, i: int) -> _TieBreak:
        tag = max((self._slots.tag[s] or "" for s in self.images[i]), default="")
        return self.version(i), tag, self._facts.images[i].digest


def _greatest_version(tags: Iterable[str | None]) -> tuple[Version, ...]:
    versions = [version for tag in tags if tag and (version := parse_version(tag)) is not None]
    return (max(versions),) if versions else ()


def tie_break(facts: Facts, i: int) -> _TieBreak:
    """What decides between images of one time by all their tags, the greater being the newer."""
    tags = facts.shape.tags[i]
    return _greatest_version(tags), max(tags, default=""), facts.images[i].digest


def newest_first(values: Mapping[int, float], tie: Callable[[int], _TieBreak]) -> list[int]:
    """Sort images by value, newest first; the costly tie-break is asked only where values are equal."""
    ordered = sorted(values, key=values.__getitem__, reverse=True)
    return ordered if len(set(values.values())) == len(ordered) else _untied(ordered, values.__getitem__, tie)


def _untied(
    ordered: list[int], value: Callable[[int], float | None], tie: Callable[[int], _TieBreak]
) -> list[int]:
    """Put those of one value in order."""
    start = 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or value(ordered[end]) != value(ordered[start]):
            if end - start > 1:
                ordered[start:end] = sorted(ordered[start:end], key=tie, reverse=True)
            start = end
    return ordered
