"""What is known of each image: its time, creation, last pull and size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec import UNSET

from janitor.core.facts import Facts
from janitor.core.image import Image
from tests.factories import ago, image, index
from tests.instant import NOW


def facts(*images: Image) -> Facts:
    return Facts(images, NOW)


def at(moment: datetime | str) -> float:
    return (ago(moment) if isinstance(moment, str) else moment).timestamp()


# --- its time


def test_the_time_of_an_image_is_its_push() -> None:
    assert facts(image("1", pushed="9d", created="20d")).times == [at("9d")]


def test_a_tag_placed_later_is_its_time() -> None:
    assert facts(image("1", pushed="9d", tagged="2d")).times == [at("2d")]


def test_a_tag_placed_before_the_push_is_not_its_time() -> None:
    assert facts(image("1", pushed="9d", tagged="20d")).times == [at("9d")]


def test_a_tag_is_the_time_of_an_image_without_a_push() -> None:
    assert facts(image("1", pushed=None, tagged="3d"), image("2")).times[0] == at("3d")


def test_creation_counts_only_where_no_image_of_the_repository_has_a_push() -> None:
    unpushed = image("1", pushed=None, created="9d")
    assert facts(unpushed, image("2", pushed=None)).times == [at("9d"), None]
    assert facts(unpushed, image("2", pushed="3d")).times == [None, at("3d")]


def test_where_creation_counts_the_later_of_it_and_of_a_placed_tag_is_the_time() -> None:
    created = image("1", pushed=None, created="9d", tagged="3d")
    assert facts(created).times == [at("3d")]


def test_the_creation_of_an_index_is_that_of_its_latest_platform_at_any_depth() -> None:
    outer = index("1", children=["amd", "inner"], pushed=None)
    inner = index(id="inner", children=["arm"], pushed=None)
    platforms = [image(id="amd", pushed=None, created="9d"), image(id="arm", pushed=None, created="3d")]
    assert facts(outer, inner, *platforms).times[0] == at("3d")


def test_the_creation_that_an_index_records_is_its_own() -> None:
    outer = index("1", children=["amd"], pushed=None, created="20d")
    assert facts(outer, image(id="amd", pushed=None, created="9d")).times[0] == at("20d")


def test_an_image_without_any_time_is_undated() -> None:
    found = facts(image("1", pushed=None))
    assert (found.times, found.any_undated) == ([None], True)


@pytest.mark.parametrize(
    ("moment", "usable"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(1980, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(1981, 1, 1, tzinfo=UTC), True),
        (NOW + timedelta(hours=1), True),
        (NOW + timedelta(hours=1, seconds=1), False),
    ],
)
def test_a_time_before_1981_or_more_than_an_hour_ahead_is_no_time(moment: datetime, *, usable: bool) -> None:
    expected = at(moment) if usable else None
    other = image("2", pushed="9d")
    assert facts(image("1", pushed=moment), other).times[0] == expected
    assert facts(image("1", pushed=None, tagged=moment), other).times[0] == expected
    assert facts(image("1", pushed=None, created=moment)).times[0] == expected


def test_an_unusable_push_leaves_the_time_of_the_tag() -> None:
    ahead = NOW + timedelta(days=9)
    assert facts(image("1", pushed=ahead, tagged="9d"), image("2")).times[0] == at("9d")


def test_offsets_of_times_do_not_matter() -> None:
    east = ago("9d").astimezone(timezone(timedelta(hours=9)))
    assert facts(image("1", pushed=east)).times == [at("9d")]


def test_microseconds_survive() -> None:
    pushed = ago("9d") + timedelta(microseconds=1)
    assert facts(image("1", pushed=pushed)).times[0] != at("9d")


# --- what the grace counts from


def test_a_change_that_nobody_explains_counts_for_the_grace_alone() -> None:
    found = facts(image("1", pushed="9d", changed="1h"))
    assert (found.times, found.arrivals()) == ([at("9d")], [at("1h")])


def test_an_earlier_change_does_not_make_an_image_older() -> None:
    assert facts(image("1", pushed="9d", changed="20d")).arrivals() == [at("9d")]


def test_a_change_is_what_the_grace_counts_from_where_there_is_no_time() -> None:
    assert facts(image("1", pushed=None, changed="1h")).arrivals() == [at("1h")]


def test_before_all_time_is_the_instant_of_an_age_longer_than_the_calendar() -> None:
    assert facts().ago(timedelta(days=999_999)) == float("-inf")


# --- pulls


def test_the_last_pull_is_the_latest_of_the_image_and_of_every_platform() -> None:
    outer = index("1", children=["inner"], pulled="20d")
    inner = index(id="inner", children=["amd"], pulled="30d")
    assert facts(outer, inner, image(id="amd", pulled="3d")).pulled(0) == at("3d")


def test_who_was_never_pulled_counts_from_its_time() -> None:
    assert facts(image("1", pushed="9d", pulled=None)).pulled(0) == at("9d")


def test_a_platform_that_was_never_pulled_counts_from_its_time() -> None:
    outer = index("1", children=["amd"], pushed="20d", pulled="15d")
    assert facts(outer, image(id="amd", pushed="9d", pulled=None)).pulled(0) == at("9d")


def test_the_last_pull_is_unknown_where_that_of_one_platform_is() -> None:
    outer = index("1", children=["amd", "arm"], pulled="3d")
    assert facts(outer, image(id="amd", pulled="3d"), image(id="arm")).pulled(0) is None


def test_the_last_pull_of_an_undated_image_that_was_never_pulled_is_unknown() -> None:
    assert facts(image("1", pushed=None, pulled=None)).pulled(0) is None


def test_a_pull_at_an_unusable_time_is_unknown() -> None:
    assert facts(image("1", pulled=datetime(1970, 1, 1, tzinfo=UTC))).pulled(0) is None


# --- sizes


def test_an_index_has_the_size_that_the_registry_gives() -> None:
    assert facts(index("1", children=["amd"], size=500), image(id="amd", size=100)).size(0) == 500


def test_else_an_index_has_the_size_of_its_platforms_at_any_depth() -> None:
    outer, inner = index("1", children=["amd", "inner"]), index(id="inner", children=["arm"])
    assert facts(outer, inner, image(id="amd", size=100), image(id="arm", size=20)).size(0) == 120


def test_a_platform_counts_once_in_the_size_of_an_index() -> None:
    outer, inner = index("1", children=["amd", "inner"]), index(id="inner", children=["amd"])
    assert facts(outer, inner, image(id="amd", size=100)).size(0) == 100


def test_the_size_of_an_index_is_unknown_where_that_of_one_platform_is() -> None:
    assert facts(index("1"), image(id="amd", size=100), image(id="arm", size=None)).size(0) is None


def test_the_size_of_an_index_of_nothing_that_is_here_is_unknown() -> None:
    assert facts(index("1", children=["absent"])).size(0) is None


def test_the_size_of_an_index_of_unknown_children_is_unknown() -> None:
    assert facts(index("1", children=UNSET)).size(0) is None


# --- the archive


def test_images_of_the_archive_class_are_known_with_their_time() -> None:
    found = facts(image("1", archived="9d"), image("2"))
    assert (found.in_archive, found.archived(0), found.archived(1)) == (frozenset({0}), at("9d"), None)


def test_an_image_archived_at_an_unusable_time_is_in_the_archive_for_an_unknown_while() -> None:
    found = facts(image("1", archived=datetime(1970, 1, 1, tzinfo=UTC)))
    assert (found.in_archive, found.archived(0)) == (frozenset({0}), None)
