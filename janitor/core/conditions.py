"""What the conditions of a rule say of the slots that its selectors choose.

A condition is a rank, or one row of :data:`_COMPARISONS`. A value may be unknown: the condition then holds in
a ``keep`` rule and doesn't in a ``delete`` rule, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple, cast

from janitor.core.facts import Facts
from janitor.core.policy import CONDITION_KEYS, Condition, Rule, Side
from janitor.core.ranking import Ranks
from janitor.core.selection import Chosen, Slots

_Value = Callable[[int], float | None]


def holding(rule: Rule, chosen: Chosen, slots: Slots, facts: Facts, timezone: str) -> list[int]:
    """The slots for which a rule holds: all of its conditions, on what its selectors chose."""
    held = chosen.slots
    ranks: Ranks | None = None
    for condition in rule.conditions:
        if CONDITION_KEYS[condition.key].counting:
            ranks = ranks or Ranks(rule, chosen, slots, facts, timezone)
            true = ranks.holding(condition, rule.side)
            held = [s for s in held if s in true]
        else:
            held = _compared(rule.side, condition, held, slots, facts)
    if facts.any_undated and rule.side is Side.DELETE and not rule.select.undated:
        # Only a rule that says `undated` has a say in the end of an image without a usable time.
        times, image = facts.times, slots.image
        held = [s for s in held if times[image[s]] is not None]
    return held


def _compared(side: Side, condition: Condition, held: list[int], slots: Slots, facts: Facts) -> list[int]:
    """The slots whose image's value lies on the right side of the condition's."""
    image = slots.image
    value_of, limit_of, above = _COMPARISONS[condition.key]
    value, limit = value_of(facts), limit_of(facts, condition)
    if side is Side.KEEP:
        return [s for s in held if (at := value(image[s])) is None or (at > limit if above else at < limit)]
    return [s for s in held if (at := value(image[s])) is not None and (at > limit if above else at < limit)]


def _ago(facts: Facts, condition: Condition) -> float:
    return facts.ago(cast("timedelta", condition.value))


def _instant(_facts: Facts, condition: Condition) -> float:
    return cast("datetime", condition.value).timestamp()


def _bytes(_facts: Facts, condition: Condition) -> float:
    return cast("int", condition.value)


def _times(facts: Facts) -> _Value:
    return facts.times.__getitem__


class _Comparison(NamedTuple):
    """The value of an image that a condition asks for, what it is held against, whether it must be above."""

    value_of: Callable[[Facts], _Value]
    limit_of: Callable[[Facts, Condition], float]
    above: bool


_COMPARISONS: Mapping[str, _Comparison] = {
    "newer_than": _Comparison(_times, _ago, above=True),
    "older_than": _Comparison(_times, _ago, above=False),
    "after": _Comparison(_times, _instant, above=True),
    "before": _Comparison(_times, _instant, above=False),
    "pulled_within": _Comparison(attrgetter("pulled"), _ago, above=True),
    "not_pulled_for": _Comparison(attrgetter("pulled"), _ago, above=False),
    "larger_than": _Comparison(attrgetter("size"), _bytes, above=True),
    "archived_for": _Comparison(attrgetter("archived"), _ago, above=False),
}
