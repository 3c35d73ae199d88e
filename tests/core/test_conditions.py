"""What conditions say of an image by its time, its pulls, its size and its while in the archive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from janitor.core.conditions import _COMPARISONS
from janitor.core.image import Image
from janitor.core.policy import CONDITION_KEYS, Side
from tests.core.arrangement import held
from tests.factories import ago, delete, image, index, keep

SECOND = timedelta(seconds=1)


def exactly(age: str, shift: timedelta = timedelta(0)) -> datetime:
    return ago(age) + shift


# --- directions and boundaries


@pytest.mark.parametrize(
    ("pushed", "newer", "older"),
    [
        (exactly("30d", SECOND), True, False),
        (exactly("30d"), False, False),
        (exactly("30d", -SECOND), False, True),
    ],
)
def test_exactly_as_old_as_said_is_neither_newer_nor_older(
    pushed: datetime, *, newer: bool, older: bool
) -> None:
    one = image("1", pushed=pushed)
    assert bool(held(keep(newer_than="30d"), one)) is newer
    assert bool(held(delete(older_than="30d"), one)) is older


@pytest.mark.parametrize(
    ("pushed", "after", "before"),
    [
        (exactly("30d", SECOND), True, False),
        (exactly("30d"), False, False),
        (exactly("30d", -SECOND), False, True),
    ],
)
def test_exactly_at_the_instant_is_neither_after_nor_before(
    pushed: datetime, *, after: bool, before: bool
) -> None:
    one, instant = image("1", pushed=pushed), ago("30d")
    assert bool(held(keep(after=instant), one)) is after
    assert bool(held(delete(before=instant), one)) is before


@pytest.mark.parametrize(
    ("pulled", "within", "not_for"),
    [
        (exactly("90d", SECOND), True, False),
        (exactly("90d"), False, False),
        (exactly("90d", -SECOND), False, True),
    ],
)
def test_exactly_as_long_unpulled_as_said_is_neither_within_nor_for(
    pulled: datetime, *, within: bool, not_for: bool
) -> None:
    one = image("1", pushed="1y", pulled=pulled)
    assert bool(held(keep(pulled_within="90d"), one)) is within
    assert bool(held(delete(not_pulled_for="90d"), one)) is not_for


@pytest.mark.parametrize(("size", "larger"), [(1000, False), (1001, True), (999, False)])
def test_exactly_as_large_as_said_is_not_larger(size: int, *, larger: bool) -> None:
    assert bool(held(delete(larger_than=1000), image("1", size=size))) is larger


@pytest.mark.parametrize(
    ("archived", "long"),
    [(exactly("90d", SECOND), False), (exactly("90d"), False), (exactly("90d", -SECOND), True)],
)
def test_exactly_as_long_archived_as_said_is_not_long_enough(archived: datetime, *, long: bool) -> None:
    one = image("1", pushed="1y", archived=archived)
    assert bool(held(delete(archived=True, archived_for="90d"), one)) is long


def test_an_age_longer_than_the_calendar_makes_everything_newer_and_nothing_older() -> None:
    longest = timedelta(days=999_999)
    one = image("1", pushed="40y")
    assert (held(keep(newer_than=longest), one), held(delete(older_than=longest), one)) == ({"1"}, set())


# --- what they go by


def test_age_goes_by_the_time_of_an_image_and_not_by_its_creation() -> None:
    one = image("1", pushed="9d", created="400d")
    assert (held(delete(older_than="30d"), one), held(keep(newer_than="30d"), one)) == (set(), {"1"})


def test_age_goes_by_the_time_at_which_a_tag_was_placed() -> None:
    assert held(delete(older_than="30d"), image("1", pushed="400d", tagged="9d")) == set()


def test_a_change_that_nobody_explains_makes_no_image_newer() -> None:
    one = image("1", pushed="400d", changed="1d")
    assert (held(delete(older_than="30d"), one), held(keep(newer_than="30d"), one)) == ({"1"}, set())


def test_a_pull_of_a_platform_is_a_pull_of_its_index() -> None:
    images = [index("1", children=["amd"], pulled="400d"), image(id="amd", pulled="9d")]
    assert held(delete(not_pulled_for="90d"), *images) == set()
    assert held(keep(pulled_within="90d"), *images) == {"1"}


def test_never_pulled_counts_from_the_time_of_the_image() -> None:
    images = [image("old", pushed="400d", pulled=None), image("new", pushed="9d", pulled=None)]
    assert held(delete(not_pulled_for="90d"), *images) == {"old"}
    assert held(keep(pulled_within="90d"), *images) == {"new"}


def test_an_index_is_as_large_as_its_platforms() -> None:
    images = [index("1", children=["amd", "arm"]), image(id="amd", size=600), image(id="arm", size=600)]
    assert held(delete(larger_than=1000), *images) == {"1"}


# --- what is unknown

_UNKNOWN: list[tuple[str, Any, Image]] = [
    ("newer_than", "30d", image("1", pushed=None)),
    ("after", ago("30d"), image("1", pushed=None)),
    ("pulled_within", "90d", image("1")),
    ("pulled_within", "90d", image("1", pushed=None, pulled=None)),
]


@pytest.mark.parametrize(("key", "value", "one"), _UNKNOWN)
def test_a_condition_on_an_unknown_value_holds_in_keep(key: str, value: Any, one: Image) -> None:
    assert held(keep(**{key: value}), one) == {"1"}


@pytest.mark.parametrize(
    ("key", "value", "one"),
    [
        *((CONDITION_KEYS[key].twin, value, one) for key, value, one in _UNKNOWN),
        ("larger_than", 1, image("1", size=None)),
    ],
)
@pytest.mark.parametrize("undated", [False, True])
def test_a_condition_on_an_unknown_value_does_not_hold_in_delete(
    key: str, value: Any, one: Image, *, undated: bool
) -> None:
    assert held(delete(undated=undated, **{key: value}), one) == set()


def test_a_while_of_unknown_length_in_the_archive_is_not_long_enough() -> None:
    one = image("1", archived=datetime(1970, 1, 1, tzinfo=ago("1d").tzinfo))
    assert held(delete(archived=True, archived_for="1d"), one) == set()


# --- rules


def test_a_rule_without_a_condition_holds_for_all_it_selects() -> None:
    images = [image("pr-1", pushed="1h"), image("pr-2"), image("1.0")]
    assert held(delete(tags="pr-*"), *images) == {"pr-1", "pr-2"}


def test_inside_a_rule_everything_must_hold() -> None:
    rule = delete(tags="pr-*", older_than="30d", larger_than=1000)
    images = [
        image("pr-1", pushed="40d", size=2000),
        image("pr-2", pushed="9d", size=2000),
        image("pr-3", pushed="40d", size=500),
        image("1.0", pushed="40d", size=2000),
    ]
    assert held(rule, *images) == {"pr-1"}


def test_a_counting_condition_counts_what_the_selectors_choose_whatever_other_conditions_say() -> None:
    images = [image("1", pushed="1d", size=500), image("2", pushed="2d", size=2000)]
    assert held(delete(larger_than=1000, beyond_newest=1), *images) == {"2"}


@pytest.mark.parametrize("order", [tuple, reversed])
def test_the_order_of_conditions_does_not_matter(order: Callable[[Any], Any]) -> None:
    words = dict(order([("older_than", "30d"), ("beyond_newest", 1)]))
    images = [image("1", pushed="9d"), image("2", pushed="20d"), image("3", pushed="40d")]
    assert held(delete(**words), *images) == {"3"}


def test_only_a_rule_that_says_undated_takes_an_image_without_a_usable_time() -> None:
    images = [image("1", pushed=None), image("2")]
    assert held(delete(), *images) == {"2"}
    assert held(delete(larger_than=1), *images) == {"2"}
    assert held(delete(undated=True), *images) == {"1"}


def test_a_keep_rule_holds_for_an_image_without_a_usable_time() -> None:
    assert held(keep(tags="1"), image("1", pushed=None)) == {"1"}


def test_every_condition_that_does_not_count_is_a_comparison() -> None:
    assert set(_COMPARISONS) == {key for key, row in CONDITION_KEYS.items() if not row.counting}


def test_every_condition_has_its_twin_on_the_other_side() -> None:
    twins = {row.key: row.twin for row in CONDITION_KEYS.values() if row.twin}
    assert all(twins[twin] == key for key, twin in twins.items())
    assert all(CONDITION_KEYS[key].side is not CONDITION_KEYS[twin].side for key, twin in twins.items())
    alone = {row.key: row.side for row in CONDITION_KEYS.values() if not row.twin}
    assert alone == {"one_per": Side.KEEP, "larger_than": Side.DELETE, "archived_for": Side.DELETE}
