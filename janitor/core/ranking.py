"""The counting conditions: newest, size added up, one a period; in the whole repository or in groups.

A rank counts images, not tags, and counts every image that the rule's selectors choose, whatever else
protects or takes it. Who has no place in it: an image whose value is unknown, one that is chosen only because
a selector could not tell, an orphan (but in a rule on orphans), and one in the archive. For these the
condition itself is unknown: they are kept by ``keep`` rules and spared by ``delete`` rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from janitor.core.facts import Facts
from janitor.core.pattern import PatternList, groups_of
from janitor.core.policy import Condition, OrderBy, Period, Rule, Side
from janitor.core.selection import Chosen, Slots
from janitor.core.version import Version, parse_version

_Group = dict[int, list[int]]
_TieBreak = tuple[tuple[Version, ...], str, str]


class Ranks:
    """The images that a rule chooses, newest first, in each group; made once for all conditions of a rule."""

    __slots__ = ("_facts", "_groups", "_slots", "_unplaced", "_zone")

    def __init__(self, rule: Rule, chosen: Chosen, slots: Slots, facts: Facts, timezone: str) -> None:
        self._facts = facts
        self._slots = slots
        self._zone = ZoneInfo(timezone)
        self._unplaced: set[int] = set()
        placed = self._placed(rule, chosen)
        groups = self._grouped(rule, placed) if rule.group_by is not None else [self._by_image(placed)]
        self._groups = [(self._newest_first(rule, members), members) for members in groups]

    def _placed(self, rule: Rule, chosen: Chosen) -> list[int]:
        """The chosen slots that can have a place; the others are set aside."""
        outside = chosen.unsure | self._facts.in_archive
        if not rule.select.orphaned:
            outside |= self._facts.shape.orphans
        if not outside:
            return chosen.slots
        image = self._slots.image
        self._unplaced.update(s for s in chosen.slots if image[s] in outside)
        return [s for s in chosen.slots if image[s] not in outside]

    def _by_image(self, placed: Sequence[int]) -> _Group:
        image = self._slots.image
        members: _Group = {image[s]: [s] for s in placed}
        if len(members) != len(placed):
            members = {i: [] for i in members}
            for s in placed:
                members[image[s]].append(s)
        return members

    def _grouped(self, rule: Rule, placed: Sequence[int]) -> list[_Group]:
        """Slots by image in each group; slots of an unknown group are set aside."""
        patterns = rule.select.tags or PatternList(patterns=rule.select.tags_all)
        groups: dict[str, list[int]] = {}
        tags = [self._slots.tag[s] or "" for s in placed]
        for s, group in zip(placed, groups_of(patterns, tags, rule.group_by or ""), strict=True):
            if group is None:
                self._unplaced.add(s)
            else:
                groups.setdefault(group, []).append(s)
        return [self._by_image(slots) for slots in groups.values()]

    def _newest_first(self, rule: Rule, members: _Group) -> list[int]:
        """The images of a group, newest first; those of unknown value are set aside."""
        ties = _Ties(members, self._slots, self._facts)
        if rule.order_by is OrderBy.VERSION:
            ordered = sorted((i for i in members if ties.version(i)), key=ties, reverse=True)
        else:
            values = map(self._facts.lookup(rule.order_by), members)
            known = {i: at for i, at in zip(members, values, strict=True) if at is not None}
            ordered = newest_first(known, ties)
        if len(ordered) != len(members):
            self._unplaced.update(s for i in members.keys() - set(ordered) for s in members[i])
        return ordered

    def holding(self, condition: Condition, side: Side) -> set[int]:
        """The slots for which one counting condition holds on this side."""
        keeping = side is Side.KEEP
        held = set(self._unplaced) if keeping else set()
        for ordered, members in self._groups:
            within, unknown = _COUNTING[condition.key](self._facts, ordered, condition, self._zone)
            if keeping:
                images: Iterable[int] = within | unknown
            else:
                images = (i for i in ordered if i not in within and i not in unknown)
            for i in images:
                held.update(members[i])
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
    times = facts.times
    ranked = [i for i in ordered if times[i] is not None]
    # Periods go by the image's time, whatever newest means; the sort is stable, so that the rank breaks ties.
    by_time = sorted(ranked, key=facts.time_or_last, reverse=True)
    rank = None if by_time == ranked else {i: n for n, i in enumerate(ranked)}.__getitem__
    ages = [-facts.time_or_last(i) for i in by_time]
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
    return kept, set(ordered) - set(ranked)


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
    """What decides between equals: the greatest version, then the greatest tag, then the digest."""

    __slots__ = ("_facts", "_members", "_slots")

    def __init__(self, members: _Group, slots: Slots, facts: Facts) -> None:
        self._members = members
        self._slots = slots
        self._facts = facts

    def version(self, i: int) -> tuple[Version, ...]:
        """The greatest version among the image's slots, as a tuple of one; empty where none is a version."""
        return _greatest_version(self._slots.tag[s] for s in self._members[i])

    def __call__(self, i: int) -> _TieBreak:
        tag = max((self._slots.tag[s] or "" for s in self._members[i]), default="")
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
    if len(set(values.values())) == len(ordered):
        return ordered
    start = 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or values[ordered[end]] != values[ordered[start]]:
            if end - start > 1:
                ordered[start:end] = sorted(ordered[start:end], key=tie, reverse=True)
            start = end
    return ordered
