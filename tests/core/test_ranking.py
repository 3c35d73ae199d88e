"""The counting conditions: newest, sizes added up, one a period; in the whole repository or in groups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from janitor.core.facts import Facts
from janitor.core.image import Image
from janitor.core.ranking import newest_first, tie_break
from tests.core.arrangement import decide, deleted, held
from tests.factories import cosign, delete, digest, image, in_use, index, keep, protect, signature
from tests.instant import NOW


def days(*ages: int, **fields: int | str) -> list[Image]:
    """Images called by their age in days."""
    return [image(f"{age}d", pushed=f"{age}d", **fields) for age in ages]  # type: ignore[arg-type]  # mixed words


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def moments(*texts: str) -> list[Image]:
    """Images called by the moment of their push, in UTC."""
    return [image(id=text, pushed=at(text)) for text in texts]


def one_per(periods: Mapping[str, int], *texts: str, timezone: str = "UTC") -> set[str]:
    return held(keep(one_per=periods), *moments(*texts), timezone=timezone)


# --- newest


def test_newest_holds_for_as_many_and_beyond_newest_for_the_rest() -> None:
    images = days(3, 1, 4, 2)
    assert held(keep(newest=2), *images) == {"1d", "2d"}
    assert held(delete(beyond_newest=2), *images) == {"3d", "4d"}


def test_where_there_are_no_more_than_that_none_is_beyond() -> None:
    images = days(1, 2)
    assert (held(keep(newest=2), *images), held(delete(beyond_newest=2), *images)) == ({"1d", "2d"}, set())


def test_ranks_count_only_what_the_selectors_choose() -> None:
    images = [image("pr-1", pushed="1d"), image("x", pushed="2d"), image("pr-2", pushed="3d")]
    assert held(keep(tags="pr-*", newest=2), *images) == {"pr-1", "pr-2"}


def test_ranks_count_images_and_not_tags() -> None:
    images = [image("a", "b", "c", pushed="1d"), image("d", pushed="2d"), image("e", pushed="3d")]
    assert held(keep(newest=2), *images) == {"a", "b", "c", "d"}
    assert held(delete(beyond_newest=2), *images) == {"e"}


def test_tagged_and_untagged_images_share_a_rank() -> None:
    images = [image("1", pushed="1d"), image(id="untagged", pushed="2d"), image("3", pushed="3d")]
    assert held(keep(newest=2), *images) == {"1", "untagged"}


def test_ranks_count_protected_and_kept_images_too() -> None:
    rules = [keep(tags="1d"), delete(beyond_newest=2)]
    protected = protect(tags="2d")
    assert deleted(decide(rules, *days(1, 2, 3), protect=protected)) == {"3d"}
    used = in_use("registry.test/team/app:2d")
    assert deleted(decide(rules, *days(1, 2, 3), in_use=used)) == {"3d"}


def test_platforms_and_referrers_count_for_no_rank() -> None:
    images = [
        index("1", pushed="9d"),
        image(id="amd", pushed="1d"),
        image(id="arm", pushed="1d"),
        signature("1", pushed="1d"),
        cosign("1", pushed="1d"),
        image("2", pushed="20d"),
    ]
    assert held(keep(newest=2), *images) == {"1", "2"}
    assert held(delete(beyond_newest=2), *images) == set()


def test_an_orphan_counts_for_no_rank() -> None:
    beside = [image("1", pushed="9d"), signature("1"), image("2", pushed="20d")]
    orphan = signature("gone", pushed="1d")
    assert held(keep(newest=2), *beside, orphan) == {"1", "2", "signature of gone"}
    assert held(delete(beyond_newest=2), *beside, orphan) == set()


def test_an_orphan_counts_in_a_rule_that_says_orphaned() -> None:
    beside = [image("1"), signature("1")]
    gone = [signature("gone", id=f"{age}d", pushed=f"{age}d") for age in (1, 2, 3)]
    assert held(delete(orphaned=True, beyond_newest=2), *beside, *gone) == {"3d"}


def test_archived_images_count_for_no_rank() -> None:
    images = [image("cold", pushed="1d", archived="1d"), *days(2, 3)]
    assert held(keep(newest=2), *images) == {"2d", "3d"}
    colder = image("colder", pushed="9d", archived="2d")
    assert held(keep(archived=True, newest=1), colder, *images) == {"cold", "colder"}


# --- what is unknown


def test_an_image_of_unknown_value_is_kept_by_its_rank_and_takes_no_place() -> None:
    images = [image("undated", pushed=None), *days(1, 2)]
    assert held(keep(newest=1), *images) == {"undated", "1d"}
    assert held(delete(beyond_newest=1), *images) == {"2d"}


def test_an_undated_image_is_beyond_no_rank() -> None:
    images = [image(name, pushed=None) for name in "abc"]
    assert held(delete(undated=True, beyond_newest=1), *images, *days(1)) == set()


def test_an_image_that_is_chosen_unsurely_is_kept_by_its_rank_and_takes_no_place() -> None:
    unknown = image("unknown", pushed="1h", type=None)
    assert held(keep(type="image", newest=1), unknown, *days(1, 2)) == {"unknown", "1d"}


@pytest.mark.parametrize("order_by", ["created", "pulled", "version"])
def test_an_image_without_what_the_order_asks_for_is_kept_and_spared_and_takes_no_place(
    order_by: str,
) -> None:
    unknown = image("unknown", pushed="1h", created=None)
    images = [
        image("2.0.0", pushed="2d", created="2d", pulled="2d"),
        image("1.0.0", pushed="3d", created="3d", pulled="3d"),
    ]
    assert held(keep(order_by=order_by, newest=1), unknown, *images) == {"unknown", "2.0.0"}
    assert held(delete(order_by=order_by, beyond_newest=1), unknown, *images) == {"1.0.0"}


# --- what newest means


def test_newest_goes_by_the_time_of_the_images() -> None:
    images = [image("1", pushed="9d", created="1d"), image("2", pushed="20d", tagged="2d")]
    assert held(keep(newest=1), *images) == {"2"}


def test_order_by_created_goes_by_creation() -> None:
    images = [image("1", pushed="9d", created="30d"), image("2", pushed="20d", created="25d")]
    assert held(keep(order_by="created", newest=1), *images) == {"2"}


def test_order_by_pulled_goes_by_the_last_pull_of_any_platform() -> None:
    images = [
        image("1", pushed="9d", pulled="9d"),
        index("2", children=["amd"], pushed="20d", pulled="20d"),
        image(id="amd", pulled="2d"),
    ]
    assert held(keep(order_by="pulled", newest=1), *images) == {"2"}


def test_order_by_version_goes_by_precedence_and_not_by_text() -> None:
    images = [image("1.9.0", pushed="1d"), image("v1.10.0", pushed="9d"), image("1.10.0-rc.1", pushed="2d")]
    assert held(keep(order_by="version", newest=1), *images) == {"v1.10.0"}
    assert held(delete(order_by="version", beyond_newest=2), *images) == {"1.9.0"}


def test_order_by_version_goes_by_the_greatest_version_that_the_rule_selects() -> None:
    images = [image("1.0.0", "3.0.0"), image("2.0.0")]
    assert held(keep(order_by="version", newest=1), *images) == {"1.0.0", "3.0.0"}
    assert held(keep(tags=["*", "!3.*"], order_by="version", newest=1), *images) == {"2.0.0"}


# --- ties


def newest_of(*images: Image, tags: str = "*") -> set[str]:
    return held(keep(tags=tags, newest=1), *images)


def test_of_equal_times_the_greater_version_is_the_newer() -> None:
    assert newest_of(image("1.9.0"), image("1.10.0")) == {"1.10.0"}


def test_of_equal_times_an_image_without_a_version_is_the_older() -> None:
    assert newest_of(image("zzz"), image("0.0.1-a")) == {"0.0.1-a"}


def test_of_equal_versions_the_greater_tag_by_code_points_is_the_newer() -> None:
    assert newest_of(image("1.0.0"), image("v1.0.0")) == {"v1.0.0"}
    assert newest_of(image("a"), image("B")) == {"a"}


def test_of_equal_tags_the_greater_digest_is_the_newer() -> None:
    pair = [image(id="a"), image(id="b")]
    assert held(keep(newest=1), *pair) == {max("ab", key=digest)}


def test_ties_are_broken_by_the_tags_that_the_rule_selects() -> None:
    images = [image("a-1", "9.0.0"), image("a-2")]
    assert held(keep(tags="a-*", newest=1), *images) == {"a-2"}


def test_the_order_of_the_listing_does_not_matter() -> None:
    images = [image("b"), image("1.0.0"), image("a"), image(id="x"), image("1.0.0-rc.1")]
    assert held(keep(newest=3), *images) == held(keep(newest=3), *reversed(images))


def test_equal_values_are_broken_apart_in_every_run_of_them() -> None:
    images = [image(name, pushed=age) for name, age in (("b", "2d"), ("d", "1d"), ("a", "2d"), ("c", "1d"))]
    facts = Facts(images, NOW)
    values = {i: at for i, at in enumerate(facts.times) if at is not None}
    ordered = newest_first(values, lambda i: tie_break(facts, i))
    assert [images[i].tags[0] for i in ordered] == ["d", "c", "b", "a"]


# --- groups


def test_a_named_group_counts_by_itself() -> None:
    rule = delete(tags="re:(?P<branch>.+)-[0-9]", group_by="branch", beyond_newest=1)
    images = [image(tag, pushed=f"{n}d") for n, tag in enumerate(("main-3", "main-2", "fix-3", "fix-2"), 1)]
    assert held(rule, *images) == {"main-2", "fix-2"}


def test_group_by_major_counts_each_major_version() -> None:
    rule = keep(tags="semver:*", group_by="major", order_by="version", newest=1)
    images = [image(tag) for tag in ("1.0.0", "1.2.0", "v2.1.0", "2.0.5")]
    assert held(rule, *images) == {"1.2.0", "v2.1.0"}


def test_group_by_minor_counts_each_minor_version_of_each_major() -> None:
    rule = keep(tags="semver:*", group_by="minor", order_by="version", newest=1)
    images = [image(tag) for tag in ("1.1.0", "1.1.9", "2.1.0", "2.1.3", "1.2.0")]
    assert held(rule, *images) == {"1.1.9", "2.1.3", "1.2.0"}


def test_an_image_in_two_groups_is_counted_in_each_and_each_tag_holds_by_its_own() -> None:
    rule = delete(tags="re:(?P<branch>.+)-[0-9]", group_by="branch", beyond_newest=1)
    images = [
        image("main-1", pushed="1d"),
        image("main-2", "fix-2", pushed="2d"),
        image("fix-3", pushed="3d"),
    ]
    assert held(rule, *images) == {"main-2", "fix-3"}


def test_a_tag_that_no_pattern_gives_a_group_has_an_unknown_one() -> None:
    words = {"tags": ["re:(?P<branch>.+)-[0-9]", "other*"], "group_by": "branch"}
    images = [image("other", pushed="1h"), image("other2", pushed="2h"), *_mains()]
    assert held(keep(**words, newest=1), *images) == {"other", "other2", "main-1"}
    assert held(delete(**words, beyond_newest=1), *images) == {"main-2"}


def test_a_group_that_took_no_part_in_the_match_is_unknown() -> None:
    words = {"tags": "re:(?:(?P<branch>[a-z]+)-)?[0-9]", "group_by": "branch"}
    assert held(delete(**words, beyond_newest=1), image("7"), image("8"), *_mains()) == {"main-2"}


def test_the_first_pattern_that_gives_the_group_decides() -> None:
    first, second = "re:(?P<g>[a-z]+)-.*", "re:.*-(?P<g>[a-z]+)"
    images = [image("a-x", pushed="1d"), image("b-x", pushed="2d"), image("a-y", pushed="3d")]
    assert held(delete(tags=[first, second], group_by="g", beyond_newest=1), *images) == {"a-y"}
    assert held(delete(tags=[second, first], group_by="g", beyond_newest=1), *images) == {"b-x"}


def test_the_groups_of_tags_all_are_those_of_its_patterns() -> None:
    rule = delete(tags_all=["re:(?P<branch>.+)-[0-9]", "sha*"], group_by="branch", beyond_newest=1)
    images = [
        image("main-1", "sha1", pushed="1d"),
        image("main-2", "sha2", pushed="2d"),
        image("fix-1", "sha3", pushed="3d"),
    ]
    assert held(rule, *images) == {"main-2"}


def _mains() -> list[Image]:
    return [image("main-1", pushed="1d"), image("main-2", pushed="2d")]


# --- sizes


def test_sizes_are_added_from_the_newest_on_and_exactly_full_still_fits() -> None:
    images = days(1, 2, 3, size=100)
    assert held(keep(within_size=200), *images) == {"1d", "2d"}
    assert held(delete(beyond_size=200), *images) == {"3d"}


def test_the_first_that_does_not_fit_and_all_after_it_are_beyond() -> None:
    images = [*days(1, size=100), *days(2, size=900), *days(3, size=1), *days(4, size=0)]
    assert held(keep(within_size=500), *images) == {"1d"}
    assert held(delete(beyond_size=500), *images) == {"2d", "3d", "4d"}


def test_an_unknown_size_adds_nothing_and_is_unknown_for_the_image_itself() -> None:
    images = [image("unknown", pushed="1h", size=None), *days(1, 2, 3, size=100)]
    assert held(keep(within_size=200), *images) == {"unknown", "1d", "2d"}
    assert held(delete(beyond_size=200), *images) == {"3d"}


def test_an_unknown_size_after_the_first_that_does_not_fit_is_unknown_too() -> None:
    images = [*days(1, 2, size=100), image("unknown", pushed="9d", size=None)]
    assert held(keep(within_size=100), *images) == {"1d", "unknown"}
    assert held(delete(beyond_size=100), *images) == {"2d"}


def test_an_index_adds_the_size_of_its_platforms() -> None:
    images = [
        index("1", pushed="1d"),
        image(id="amd", size=60),
        image(id="arm", size=50),
        *days(2, size=100),
    ]
    assert held(delete(beyond_size=200), *images) == {"2d"}
    assert held(delete(beyond_size=210), *images) == set()


def test_sizes_are_added_in_each_group() -> None:
    rule = delete(tags="re:(?P<branch>.+)-[0-9]", group_by="branch", beyond_size=100)
    images = [image(tag, pushed=f"{n}d", size=100) for n, tag in enumerate(("a-1", "b-1", "a-2"), 1)]
    assert held(rule, *images) == {"a-2"}


# --- one per period


def test_the_newest_of_each_of_the_newest_days_is_kept() -> None:
    pushed = ("2026-05-30T23:59", "2026-05-30T08:00", "2026-05-29T12:00", "2026-05-28T12:00")
    assert one_per({"day": 2}, *pushed) == {"2026-05-30T23:59", "2026-05-29T12:00"}


def test_periods_that_hold_no_image_do_not_count() -> None:
    pushed = ("2026-05-30T12:00", "2026-03-01T12:00", "2025-01-01T12:00")
    assert one_per({"day": 2}, *pushed) == {"2026-05-30T12:00", "2026-03-01T12:00"}


@pytest.mark.parametrize(
    ("period", "same", "other"),
    [
        ("hour", ("2026-05-30T08:59", "2026-05-30T08:00"), "2026-05-30T07:59"),
        ("day", ("2026-05-30T23:59", "2026-05-30T00:00"), "2026-05-29T23:59"),
        ("week", ("2026-05-31T23:59", "2026-05-25T00:00"), "2026-05-24T23:59"),
        ("week", ("2026-01-04T12:00", "2025-12-29T00:00"), "2025-12-28T23:59"),
        ("month", ("2026-05-31T23:59", "2026-05-01T00:00"), "2026-04-30T23:59"),
        ("year", ("2026-05-31T23:59", "2026-01-01T00:00"), "2025-12-31T23:59"),
    ],
)
def test_periods_begin_and_end_as_the_calendar_says(period: str, same: tuple[str, str], other: str) -> None:
    assert one_per({period: 2}, *same, other) == {same[0], other}


def test_one_hour_of_two_days_and_one_month_of_two_years_are_two_periods() -> None:
    pushed = ("2026-05-30T08:00", "2026-05-29T08:00", "2025-05-30T08:00")
    assert one_per({"hour": 3}, *pushed) == set(pushed)
    assert one_per({"month": 2}, *pushed) == {pushed[0], pushed[2]}


def test_what_any_of_several_periods_keeps_is_kept() -> None:
    pushed = ("2026-05-30T12:00", "2026-05-29T12:00", "2026-04-15T12:00", "2026-04-14T12:00")
    assert one_per({"day": 1, "month": 2}, *pushed) == {"2026-05-30T12:00", "2026-04-15T12:00"}


def test_periods_are_those_of_the_policys_timezone() -> None:
    pushed = ("2026-05-29T22:30", "2026-05-29T21:30")
    old = "2020-01-01T12:00"
    assert one_per({"day": 2}, *pushed, old) == {pushed[0], old}
    assert one_per({"day": 2}, *pushed, old, timezone="Europe/Berlin") == set(pushed)


def test_the_oldest_image_is_kept_while_fewer_than_so_many_periods_hold_one() -> None:
    pushed = ("2026-05-30T12:00", "2026-05-30T11:00", "2026-05-30T10:00")
    assert one_per({"day": 2}, *pushed) == {"2026-05-30T12:00", "2026-05-30T10:00"}


def test_the_oldest_image_is_not_kept_once_so_many_periods_hold_one() -> None:
    pushed = ("2026-05-30T12:00", "2026-05-29T12:00", "2026-05-29T11:00")
    assert one_per({"day": 2}, *pushed) == {"2026-05-30T12:00", "2026-05-29T12:00"}


def test_the_oldest_image_is_kept_by_any_period_that_is_not_full() -> None:
    pushed = ("2026-05-30T12:00", "2026-05-30T11:00", "2026-05-30T10:00")
    assert one_per({"day": 1, "year": 9}, *pushed) == {"2026-05-30T12:00", "2026-05-30T10:00"}


def test_the_oldest_image_is_that_of_each_group() -> None:
    rule = keep(tags="re:(?P<branch>.+)-[0-9]", group_by="branch", one_per={"year": 2})
    images = [image(f"{branch}-{n}", pushed=f"{n}d") for branch in "ab" for n in (1, 2, 3)]
    assert held(rule, *images) == {"a-1", "a-3", "b-1", "b-3"}


def test_an_undated_image_is_kept_by_its_period_and_is_not_the_oldest() -> None:
    images = [image("undated", pushed=None), *days(1, 2, 3)]
    assert held(keep(one_per={"year": 2}), *images) == {"undated", "1d", "3d"}


def test_what_newest_means_decides_within_a_period_and_time_between_them() -> None:
    images = [image("1.0.0", pushed="1d"), image("2.0.0", pushed="2d"), image("0.1.0", pushed="400d")]
    rule = keep(order_by="version", one_per={"year": 1})
    assert held(rule, *images) == {"2.0.0"}


def test_of_images_of_one_moment_the_greater_is_the_newest_of_its_period_and_the_less_the_oldest() -> None:
    images = [image("1.0.0", pushed="1d"), image("1.2.0", pushed="1d"), image("1.1.0", pushed="1d")]
    assert held(keep(one_per={"day": 2}), *images) == {"1.2.0", "1.0.0"}
