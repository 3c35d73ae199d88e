"""How much may go: the state of use, a floor, two brakes and a ration, in this order."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import pytest

from janitor.core.decision import Decisions
from janitor.core.draft import assemble
from janitor.core.image import Image
from janitor.core.limits import Tally, floor, last_tagged, limit, oldest_first
from janitor.core.policy import Rule
from janitor.core.story import why_stays
from janitor.core.use import InUse, SourceReading
from janitor.planning import why_closed
from tests.core.arrangement import archived, decide, deleted, names
from tests.factories import (
    cosign,
    delete,
    image,
    in_use,
    index,
    limits,
    name_of,
    protect,
    signature,
)


def days(*ages: int) -> list[Image]:
    """Images called by their age in days."""
    return [image(f"{age}d", pushed=f"{age}d") for age in ages]


def after_floor(
    min_remaining: int, *images: Image, rules: Rule | Sequence[Rule] = (), protected: str = "none"
) -> Decisions:
    decisions = decide(rules or delete(), *images, protect=protect(tags=protected))
    return floor(decisions, min_remaining)


def order(rules: Rule | Sequence[Rule], *images: Image) -> list[str]:
    """The images in the order in which a ration lets them go."""
    decisions = decide(rules, *images)
    return [name_of(images[i].digest) for _, i in oldest_first(decisions)]


def tally(
    repository: str = "a",
    *,
    going: int = 0,
    judged: int = 1000,
    registry: str = "prod",
    planned: bool | None = None,
    times: Sequence[float] | None = None,
) -> Tally:
    """A repository of a thousand images, of which so many would go."""
    when = array("d", times if times is not None else range(going))
    return Tally(
        registry=registry,
        repository=repository,
        images=judged,
        judged=judged,
        going=len(when) if times is not None else going,
        planned=bool(when) if planned is None else planned,
        times=when,
    )


def limited(*tallies: Tally, unused: Mapping[str, str] | None = None, **given: int) -> list[str]:
    """The repositories that are stopped."""
    limit(tallies, limits(**{"max_percent": 100, **given}), unused or {})  # type: ignore[arg-type]  # numbers
    return [one.repository for one in tallies if one.stopped is not None]


def rationed(budget: int, *tallies: Tally) -> dict[str, int]:
    """How many of each repository may go."""
    limit(tallies, limits(max_percent=100, budget=budget), {})
    return {one.repository: one.going if one.allowed is None else one.allowed for one in tallies}


# --- the floor


def test_the_newest_of_those_that_would_go_stay_until_so_many_are_left() -> None:
    assert deleted(after_floor(2, *days(4, 1, 3, 2))) == {"3d", "4d"}


def test_what_stays_anyway_counts_as_left() -> None:
    assert deleted(after_floor(2, *days(1, 2, 3), protected="3d")) == {"2d"}


def test_where_so_many_are_left_the_floor_spares_nothing() -> None:
    assert deleted(after_floor(1, *days(1, 2, 3), protected="3d")) == {"1d", "2d"}


def test_a_floor_of_nothing_lets_everything_go() -> None:
    assert deleted(after_floor(0, *days(1, 2))) == {"1d", "2d"}


def test_a_floor_above_all_images_spares_all_of_them() -> None:
    assert deleted(after_floor(9, *days(1, 2))) == set()


def test_for_the_floor_an_image_without_a_usable_time_is_the_newest() -> None:
    rules = [delete(undated=True), delete(older_than="1h")]
    assert deleted(after_floor(1, image("x", pushed=None), *days(1), rules=rules)) == {"1d"}


def test_for_the_floor_equal_times_are_told_apart_as_in_ranks() -> None:
    assert deleted(after_floor(1, image("1.9.0"), image("1.10.0"), image("z"))) == {"1.9.0", "z"}


def test_neither_platforms_nor_referrers_nor_orphans_nor_archived_images_count_as_left() -> None:
    images = [
        index("1", pushed="5d"),
        image(id="amd"),
        image(id="arm"),
        cosign("1"),
        signature("gone"),
        image("cold", archived="9d"),
    ]
    assert deleted(after_floor(1, *images, rules=delete(tags="1"))) == set()


def test_the_floor_spares_neither_orphans_nor_archived_images() -> None:
    images = [image("1"), signature("1"), signature("gone", pushed="1d"), image("cold", archived="9d")]
    rules = [delete(), delete(archived=True, archived_for="1d")]
    assert deleted(after_floor(1, *images, rules=rules)) == {"signature of gone", "cold"}


def test_a_tagged_child_counts_as_left() -> None:
    images = [index("1", children=["amd"]), image("1-amd", id="amd"), image("2", pushed="1d")]
    assert deleted(after_floor(2, *images, rules=delete(tags="2"))) == {"2"}


def test_an_index_that_the_floor_spares_keeps_what_it_holds() -> None:
    images = [index("1", pushed="1d"), image(id="amd"), image(id="arm"), *days(2)]
    assert deleted(after_floor(1, *images)) == {"2d"}


def test_a_tagged_child_that_stays_with_a_spared_index_counts_as_left() -> None:
    images = [index("1", children=["amd"], pushed="1d"), image("1-amd", id="amd", pushed="9d"), *days(2)]
    assert deleted(after_floor(2, *images)) == {"2d"}


def test_a_tagged_referrer_that_stays_with_its_spared_subject_counts_as_left() -> None:
    images = [image("1", pushed="1d"), signature("1", "sbom", id="sbom", pushed="9d"), *days(2)]
    assert deleted(after_floor(2, *images)) == {"2d"}


def test_what_stays_with_a_spared_index_is_counted_once() -> None:
    images = [index("1", children=["amd"], pushed="1d"), image("1-amd", id="amd", pushed="2d"), *days(3, 4)]
    assert deleted(after_floor(3, *images)) == {"4d"}


def test_what_stays_anyway_is_counted_once_beside_a_spared_index() -> None:
    images = [
        index("1", children=["amd"], pushed="1d"),
        image("1-amd", id="amd", pushed="9d"),
        *days(3, 4, 5),
    ]
    assert deleted(after_floor(4, *images, protected="5d")) == {"4d"}


def test_a_move_to_the_archive_counts_as_a_deletion_for_the_floor() -> None:
    assert archived(after_floor(1, *days(1, 2), rules=delete(archive=True))) == {"2d"}


def test_what_the_floor_spares_is_known() -> None:
    decisions = after_floor(1, *days(1, 2))
    assert names(decisions.facts.shape, decisions.floored) == {"1d"}


# --- what a registry never deletes


def test_the_newest_tagged_image_stays_where_no_other_tagged_one_would() -> None:
    decisions = last_tagged(decide(delete(), *days(1, 2), image(id="untagged", pushed="9d")))
    assert deleted(decisions) == {"2d", "untagged"}
    assert names(decisions.facts.shape, decisions.last) == {"1d"}
    assert "never deletes the last tagged image" in why_stays(decisions, 0)[0]


def test_an_index_that_is_the_last_tagged_image_keeps_its_platforms() -> None:
    images = [index("1", children=["amd"], pushed="1d"), image(id="amd", pushed="1d"), *days(3)]
    assert deleted(last_tagged(decide(delete(), *images))) == {"3d"}


def test_nothing_is_spared_where_a_tagged_image_stays_anyway() -> None:
    decisions = last_tagged(decide(delete(), *days(1, 2), image("stays"), protect=protect(tags="stays")))
    assert deleted(decisions) == {"1d", "2d"}


def test_untagged_images_alone_are_no_last_tagged_image() -> None:
    assert deleted(last_tagged(decide(delete(), image(id="untagged")))) == {"untagged"}


# --- the brake of a repository


@pytest.mark.parametrize(
    ("going", "judged", "stopped"),
    [(80, 100, False), (81, 100, True), (8, 10, False), (9, 10, True), (9, 9, False), (10, 10, True)],
)
def test_more_than_the_share_of_at_least_ten_images_stops_a_repository(
    going: int, judged: int, *, stopped: bool
) -> None:
    others = tally("others", judged=100_000)
    assert limited(tally("a", going=going, judged=judged), others, max_percent=80) == (
        ["a"] if stopped else []
    )


def test_shares_are_exact_and_not_rounded() -> None:
    others = tally("others", judged=1_000_000)
    assert limited(tally("a", going=501, judged=1001), others, max_percent=50) == ["a"]
    assert limited(tally("a", going=500, judged=1001), others, max_percent=50) == []


def test_a_hundred_percent_stop_nothing() -> None:
    assert limited(tally("a", going=50, judged=50), max_percent=100) == []


def test_zero_percent_let_nothing_go_not_even_of_fewer_than_ten() -> None:
    assert limited(tally("a", going=1, judged=2), max_percent=0) == ["a"]


def test_zero_percent_stop_no_repository_of_which_nothing_goes() -> None:
    assert limited(tally("a", judged=20), max_percent=0) == []


def test_the_brake_counts_candidates_that_are_deleted_or_archived_and_nothing_that_goes_along() -> None:
    images = [
        index("1", children=["amd", "arm"]),
        image(id="amd"),
        image("1-arm", id="arm"),
        signature("1"),
        image("pr-1", "2"),
        image("cold", archived="9d"),
        signature("gone"),
        image("3"),
    ]
    rules = [delete(tags=["1", "1-arm"]), delete(tags="3", archive=True), delete(tags="pr-*", untag=True)]
    made = assemble(decide(rules, *images)).tally
    assert (made.images, made.judged, made.going) == (8, 6, 3)


# --- the brake of a registry


def test_a_registry_is_stopped_by_the_share_of_all_its_repositories() -> None:
    small = [tally(name, going=5, judged=6) for name in "abc"]
    assert limited(*small, max_percent=80) == ["a", "b", "c"]


def test_a_registry_of_fewer_than_ten_images_is_not_stopped() -> None:
    assert limited(tally("a", going=5, judged=5), tally("b", going=4, judged=4), max_percent=80) == []


def test_repositories_of_which_nothing_goes_count_for_the_share_of_their_registry() -> None:
    assert limited(tally("a", going=9, judged=9), tally("b", judged=9), max_percent=50) == []
    assert limited(tally("a", going=9, judged=9), tally("b", judged=8), max_percent=50) == ["a"]


def test_each_registry_is_judged_by_itself() -> None:
    one = [tally("a", going=9, judged=9, registry="x"), tally("b", going=9, judged=9, registry="x")]
    other = tally("c", going=1, judged=100, registry="y")
    assert limited(*one, other, max_percent=80) == ["a", "b"]


def test_what_is_stopped_already_counts_as_if_it_went() -> None:
    stopped = tally("a", going=90, judged=100)
    assert limited(stopped, tally("b", going=5, judged=12), max_percent=80) == ["a", "b"]
    assert limited(tally("a", going=90, judged=100), tally("b", going=5, judged=30), max_percent=80) == ["a"]


def test_in_a_stopped_registry_a_repository_with_only_tags_to_take_off_is_stopped_too() -> None:
    untag_only = tally("b", planned=True, judged=1)
    assert limited(tally("a", going=9, judged=9), untag_only, max_percent=80) == ["a", "b"]


def test_nothing_is_stopped_where_nothing_is_planned() -> None:
    assert limited(tally("a", going=9, judged=9), tally("b", judged=1), max_percent=80) == ["a"]


# --- the budget: the order


def test_the_oldest_go_first() -> None:
    assert order(delete(), *days(2, 4, 1, 3)) == ["4d", "3d", "2d", "1d"]


def test_without_a_usable_time_an_image_goes_last() -> None:
    rules = [delete(), delete(undated=True)]
    assert order(rules, image("x", pushed=None), *days(1)) == ["1d", "x"]


def test_of_equal_times_the_less_by_rank_goes_first() -> None:
    assert order(delete(), image("1.10.0"), image("b"), image("1.9.0"), image("a")) == [
        "a",
        "b",
        "1.9.0",
        "1.10.0",
    ]


def test_a_tagged_child_never_goes_before_an_index_that_holds_it() -> None:
    images = [index("1", children=["amd"], pushed="1d"), image("1-amd", id="amd", pushed="9d"), *days(5)]
    assert order(delete(), *images) == ["5d", "1", "amd"]


def test_a_tagged_child_waits_for_the_youngest_of_its_indexes() -> None:
    images = [
        image("a", id="amd", pushed="9d"),
        index("1", children=["amd"], pushed="1d"),
        index("2", children=["amd"], pushed="3d"),
        *days(2),
    ]
    assert order(delete(), *images) == ["2", "2d", "1", "amd"]


def test_a_tagged_referrer_never_goes_before_its_subject() -> None:
    images = [image("1", pushed="1d"), signature("1", "sbom", id="sbom", pushed="9d"), *days(5)]
    assert order(delete(), *images) == ["5d", "1", "sbom"]


def test_a_tagged_child_of_an_index_that_goes_along_waits_for_what_that_hangs_on() -> None:
    images = [
        index("1", children=["inner"], pushed="1d"),
        index(id="inner", children=["amd"], pushed="9d"),
        image("a", id="amd", pushed="9d"),
        *days(5),
    ]
    assert order(delete(), *images) == ["5d", "1", "amd"]


def test_indexes_in_indexes_go_from_the_outermost_inwards() -> None:
    images = [
        image("c", id="c", pushed="3d"),
        index("b", id="b", children=["c"], pushed="2d"),
        index("a", children=["b"], pushed="1d"),
    ]
    assert order(delete(), *images) == ["a", "b", "c"]


def test_what_waits_for_something_younger_counts_as_old_as_that() -> None:
    decisions = decide(
        delete(), index("1", children=["amd"], pushed="1d"), image("a", id="amd", pushed="9d"), *days(5)
    )
    times = [time for time, _ in oldest_first(decisions)]
    assert times == sorted(times)
    assert times[1] == times[2]


def test_images_that_tags_let_refer_to_one_another_end_the_order() -> None:
    pair = [
        image("a", *cosign("b").tags, id="a", pushed="9d"),
        image("b", *cosign("a").tags, id="b", pushed="9d"),
    ]
    assert order(delete(), *pair, *days(1))[0] == "1d"
    assert set(order(delete(), *pair, *days(1))) == {"1d", "a", "b"}


# --- the budget: over repositories


def test_the_oldest_of_all_repositories_go_and_the_rest_waits() -> None:
    assert rationed(3, tally("a", times=[1, 4]), tally("b", times=[2, 3]), tally("c", times=[9])) == {
        "a": 1,
        "b": 2,
        "c": 0,
    }


def test_a_budget_for_all_rations_nothing() -> None:
    one = tally("a", going=3)
    assert rationed(3, one) == {"a": 3}
    assert one.allowed is None


def test_what_waits_for_the_next_run_is_not_stopped() -> None:
    assert limited(tally("a", going=5), budget=2) == []


def test_of_equal_times_registry_then_repository_then_rank_decide() -> None:
    tallies = [
        tally("b", times=[1, 1], registry="y"),
        tally("c", times=[1, 1], registry="x"),
        tally("a", times=[1, 1], registry="y"),
    ]
    assert rationed(3, *tallies) == {"b": 0, "c": 2, "a": 1}


def test_without_a_usable_time_images_wait_for_all_others() -> None:
    assert rationed(2, tally("a", times=[float("inf")]), tally("b", times=[1, 2])) == {"a": 0, "b": 2}


def test_no_budget_is_spent_on_what_is_stopped() -> None:
    stopped, free = tally("a", times=[1, 2], judged=2), tally("b", times=[3, 4], registry="other")
    limit([stopped, free], limits(max_percent=100, budget=2), {"prod": "unused"})
    assert (stopped.allowed, free.allowed) == (None, None)


def test_a_budget_of_zero_lets_nothing_go() -> None:
    assert limited(tally("a", going=1), tally("b"), budget=0) == ["a"]


def test_a_budget_of_zero_lets_tags_be_taken_off() -> None:
    assert limited(tally("a", planned=True), budget=0) == []


# --- the brake of the run


def test_more_deletions_than_said_stop_every_repository_with_something_planned() -> None:
    tallies = [
        tally("a", going=3),
        tally("b", going=3, registry="other"),
        tally("c", planned=True),
        tally("d"),
    ]
    assert limited(*tallies, max_deletions=5) == ["a", "b", "c"]


def test_exactly_as_many_deletions_as_said_stop_nothing() -> None:
    assert limited(tally("a", going=3), tally("b", going=3), max_deletions=6) == []


def test_deletions_are_counted_over_what_the_budget_left() -> None:
    assert limited(tally("a", going=9), budget=5, max_deletions=5) == []
    assert limited(tally("a", going=9), budget=6, max_deletions=5) == ["a"]


def test_deletions_that_are_stopped_already_are_not_counted() -> None:
    tallies = [tally("a", going=95, judged=100), tally("b", going=5)]
    assert limited(*tallies, max_percent=80, max_deletions=5) == ["a"]


def test_zero_deletions_let_nothing_go() -> None:
    assert limited(tally("a", going=1), max_deletions=0) == ["a"]
    assert limited(tally("a"), max_deletions=0) == []


# --- closed when in doubt


def test_a_registry_of_which_nothing_is_in_use_is_stopped_before_the_limits() -> None:
    tallies = [tally("a", going=3), tally("b", going=3, registry="other")]
    assert limited(*tallies, unused={"prod": "nothing is used"}) == ["a"]
    assert tallies[0].stopped == "nothing is used"


def test_what_is_stopped_for_all_registries_stops_every_repository_with_something_planned() -> None:
    tallies = [tally("a", going=3), tally("b", planned=True, registry="other"), tally("c")]
    assert limited(*tallies, unused={"": "unread"}) == ["a", "b"]


def test_what_use_stops_counts_for_the_share_of_its_registry_as_if_it_went() -> None:
    tallies = [tally("a", going=9, judged=9), tally("b", going=9, judged=9, registry="other")]
    assert limited(*tallies, unused={"prod": "unused"}, max_percent=0) == ["a", "b"]


def test_a_source_that_could_not_be_read_closes_everything() -> None:
    assert (
        why_closed(in_use("app:1", error="no route to host"))
        == "what is in use isn't known: no route to host"
    )


def test_a_source_that_names_no_image_closes_everything() -> None:
    why = why_closed(InUse(readings=(SourceReading(source="url"),)))
    assert why is not None
    assert why.startswith("url names no image at all")


def test_a_source_that_may_be_empty_closes_nothing_when_it_is() -> None:
    assert why_closed(in_use(allow_empty=True)) is None


def test_a_source_that_may_be_empty_closes_everything_when_it_could_not_be_read() -> None:
    assert why_closed(in_use(error="denied", allow_empty=True)) is not None


def test_one_source_in_doubt_closes_everything_whatever_the_others_say() -> None:
    readings = (*in_use("app:1").readings, *in_use(error="denied").readings)
    assert why_closed(InUse(readings=readings)) is not None


def test_without_a_source_nothing_is_closed() -> None:
    assert why_closed(InUse()) is None


# --- reasons


def test_reasons_name_the_numbers_and_the_limit() -> None:
    one = tally("a", going=9, judged=10)
    other = [tally("b", going=9, judged=9), tally("c", going=9, judged=9)]
    limit([one, *other], limits(max_percent=80), {})
    assert one.stopped == "9 of its 10 images would go, over max_percent 80"
    assert other[0].stopped == "27 of the 28 images of prod would go, over max_percent 80"
    run = tally("d", going=7)
    limit([run], limits(max_deletions=6), {})
    assert run.stopped == "the run would delete 7 images, over max_deletions 6"
