"""What the conditions of a rule say of the slots that its selectors choose.

Each condition is one row of :data:`_TESTS` or a rank. A test answers true, false, or ``None`` for unknown;
unknown holds in a ``keep`` rule and doesn't in a ``delete`` rule, whatever the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import cast

from janitor.core.facts import Facts
from janitor.core.policy import CONDITION_KEYS, Condition, Rule, Side
from janitor.core.ranking import Ranks
from janitor.core.selection import Chosen, Slots

_Test = Callable[[int], bool | None]


def holding(rule: Rule, chosen: Chosen, slots: Slots, facts: Facts, timezone: str) -> list[int]:
    """The slots for which a rule holds: all of its conditions, on what its selectors chose."""
    keep = rule.side is Side.KEEP
    held = chosen.slots
    ranks: Ranks | None = None
    for condition in rule.conditions:
        if CONDITION_KEYS[condition.key].counting:
            ranks = ranks or Ranks(rule, chosen, slots, facts, timezone)
            true = ranks.holding(condition, rule.side)
            held = [s for s in held if s in true]
        else:
            test = _TESTS[condition.key](facts, condition)
            image = slots.image
            held = [s for s in held if (keep if (answer := test(image[s])) is None else answer)]
    if not keep and not rule.select.undated:
        # Only a rule that says `undated` has a say in the end of an image without a usable time.
        times, image = facts.times, slots.image
        held = [s for s in held if times[image[s]] is not None]
    return held


def _cutoff(facts: Facts, condition: Condition) -> float:
    return facts.ago(cast("timedelta", condition.value))


def _instant(condition: Condition) -> float:
    return cast("datetime", condition.value).timestamp()


def _after(value: Callable[[int], float | None], instant: float) -> _Test:
    return lambda i: None if (at := value(i)) is None else at > instant


def _before(value: Callable[[int], float | None], instant: float) -> _Test:
    return lambda i: None if (at := value(i)) is None else at < instant


def _larger(facts: Facts, condition: Condition) -> _Test:
    most = cast("int", condition.value)
    return lambda i: None if (size := facts.size(i)) is None else size > most


def _archived_for(facts: Facts, condition: Condition) -> _Test:
    cutoff = _cutoff(facts, condition)
    return lambda i: None if (at := facts.archived(i)) is None else at < cutoff


_TESTS: Mapping[str, Callable[[Facts, Condition], _Test]] = {
    "newer_than": lambda facts, condition: _after(facts.times.__getitem__, _cutoff(facts, condition)),
    "older_than": lambda facts, condition: _before(facts.times.__getitem__, _cutoff(facts, condition)),
    "after": lambda facts, condition: _after(facts.times.__getitem__, _instant(condition)),
    "before": lambda facts, condition: _before(facts.times.__getitem__, _instant(condition)),
    "pulled_within": lambda facts, condition: _after(facts.pulled, _cutoff(facts, condition)),
    "not_pulled_for": lambda facts, condition: _before(facts.pulled, _cutoff(facts, condition)),
    "larger_than": _larger,
    "archived_for": _archived_for,
}
