"""From the decisions on one repository to the lines of a plan, before the limits of the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import UNSET

from janitor.core.draft import Draft, assemble, look
from janitor.core.image import Image
from janitor.core.limits import floor
from janitor.core.plan import Action, ActionKind
from janitor.core.policy import Rule, Where
from tests.core.arrangement import decide
from tests.factories import ago, delete, digest, image, index, keep, name_of, protect, signature


def draft(rules: Rule | Sequence[Rule], *images: Image, **fields: str) -> Draft:
    return assemble(decide(rules, *images, **fields), rationed=True)  # type: ignore[arg-type]  # words of decide


def lines(made: Draft) -> list[str]:
    return [name_of(action.digest) for action in made.actions]


def unselected(rules: Rule | Sequence[Rule], *images: Image) -> dict[str, int]:
    return dict(draft(rules, *images).unselected)


# --- lines


def test_a_line_says_everything_of_what_is_to_go() -> None:
    rule = delete(name="old", older_than="30d", where=Where(file="p.yaml", line=7))
    made = draft(rule, image("1", "2", pushed="40d", size=5), repository="team/api")
    assert made.actions == (
        Action(
            action=ActionKind.DELETE,
            registry="prod",
            repository="team/api",
            digest=digest("1 2"),
            tags=("1", "2"),
            rules=("cleanup/old",),
            reason="cleanup/old (p.yaml:7): ; 40 days old",
            size_bytes=5,
            pushed_at=ago("40d"),
        ),
    )


def test_a_line_names_every_rule_that_takes_the_image_in_the_order_of_the_files() -> None:
    rules = [delete(name="b", tags="x"), delete(name="no", tags="z"), delete(name="a", tags="y")]
    (action,) = draft(rules, image("y", "x")).actions
    assert action.rules == ("cleanup/b", "cleanup/a")
    assert action.reason == "cleanup/b (policy.yaml:1): ; cleanup/a (policy.yaml:1): ; 100 days old"


@pytest.mark.parametrize(
    ("pushed", "words"),
    [("0h", "0 days old"), ("47h", "1 day old"), ("48h", "2 days old"), (None, "its time is unknown")],
)
def test_a_line_says_how_many_whole_days_old_an_image_is(pushed: str | None, words: str) -> None:
    images = image("1", pushed=pushed), image("2", pushed="9d")
    reasons = {
        name_of(one.digest): one.reason for one in draft([delete(), delete(undated=True)], *images).actions
    }
    assert reasons["1"].endswith(f"; {words}")


def test_rules_that_archive_are_not_named_for_a_deletion() -> None:
    rules = [delete(name="cold", archive=True), delete(name="gone")]
    assert draft(rules, image("1")).actions[0].rules == ("cleanup/gone",)


def test_a_line_of_a_move_names_its_rule() -> None:
    (action,) = draft(delete(name="cold", archive=True), image("1")).actions
    assert (action.action, action.rules, action.remove_tags) == (ActionKind.ARCHIVE, ("cleanup/cold",), UNSET)


def test_a_line_that_takes_tags_off_names_them_and_all_that_the_image_has() -> None:
    rules = [delete(name="pr", tags="pr-*", untag=True), delete(name="sha", tags="sha-*")]
    (action,) = draft(rules, image("1.0", "pr-1", "sha-1")).actions
    assert (action.action, action.tags) == (ActionKind.UNTAG, ("1.0", "pr-1", "sha-1"))
    assert (action.remove_tags, action.rules) == (("pr-1",), ("cleanup/pr",))
    assert action.reason.startswith("stays for another of its tags; cleanup/pr (policy.yaml:1)")


def test_a_line_that_takes_tags_off_names_no_rule_that_does_not_say_untag() -> None:
    rules = [delete(name="pr", tags="pr-*", untag=True), delete(name="all", tags="pr-1")]
    (action,) = draft(rules, image("1.0", "pr-1")).actions
    assert action.rules == ("cleanup/pr",)


def test_a_line_has_its_scheme_tags_among_its_tags() -> None:
    tag = digest("1").replace(":", "-") + ".sig"
    made = draft(delete(tags="1"), image("1"), image(tag, id="sig"))
    assert made.actions[1].tags == (tag,)


# --- what goes along


def test_what_goes_along_has_a_line_with_the_rules_of_what_it_goes_with() -> None:
    made = draft(delete(name="old", tags="1"), index("1", children=["amd"]), image(id="amd"))
    along = made.actions[1]
    assert (name_of(along.digest), along.rules, along.action) == ("amd", ("cleanup/old",), ActionKind.DELETE)
    assert along.reason == f"goes with {digest('1')[:19]}"


def test_what_goes_along_with_a_deletion_has_no_rules_that_archive() -> None:
    rules = [delete(name="cold", archive=True), delete(name="gone")]
    made = draft(rules, index("1", children=["amd"]), image(id="amd"))
    assert [action.rules for action in made.actions] == [("cleanup/gone",), ("cleanup/gone",)]


def test_what_goes_with_several_has_the_rules_of_all_and_says_how_many() -> None:
    rules = [delete(name="a", tags="1"), delete(name="b", tags="2")]
    images = [index("1", children=["amd"]), index("2", children=["amd"]), image(id="amd")]
    along = draft(rules, *images).actions[2]
    assert along.rules == ("cleanup/a", "cleanup/b")
    assert along.reason == f"goes with {min(digest('1'), digest('2'))[:19]} and 1 more"


def test_what_moves_along_is_archived() -> None:
    made = draft(delete(archive=True), index("1", children=["amd"]), image(id="amd"))
    assert [action.action for action in made.actions] == [ActionKind.ARCHIVE, ActionKind.ARCHIVE]


def test_what_goes_along_adds_its_own_size() -> None:
    images = [index("1", size=None), image(id="amd", size=7), image(id="arm", size=None)]
    made = draft(delete(tags="1"), *images)
    assert {name_of(one.digest): one.size_bytes for one in made.actions} == {"1": None, "amd": 7, "arm": None}


# --- their order


def test_lines_stand_oldest_first_each_followed_by_what_goes_along() -> None:
    images = [
        image("new", pushed="1d"),
        index("old", pushed="9d"),
        image(id="amd"),
        image(id="arm"),
        signature("old"),
    ]
    made = draft(delete(), *images)
    assert lines(made)[0] == "old"
    assert set(lines(made)[1:4]) == {"amd", "arm", "signature of old"}
    assert lines(made)[4] == "new"
    assert list(made.needs) == [1, 1, 1, 1, 2]


def test_what_hangs_on_several_follows_the_last_of_them() -> None:
    images = [
        index("1", children=["amd"], pushed="1d"),
        index("9", children=["amd"], pushed="9d"),
        image(id="amd"),
        image("5", pushed="5d"),
    ]
    made = draft(delete(), *images)
    assert (lines(made), list(made.needs)) == (["9", "5", "1", "amd"], [1, 2, 3, 3])


def test_tags_to_take_off_stand_last_and_need_no_ration() -> None:
    rules = [delete(tags="pr-*", untag=True)]
    made = draft(rules, image("pr-1", "1.0", pushed="90d"), image("pr-2", pushed="9d"))
    assert (lines(made), list(made.needs)) == (["pr-2", "pr-1 1.0"], [1, 0])


def test_lines_are_the_same_whatever_the_order_of_the_listing() -> None:
    images = [index("1"), image(id="amd"), image(id="arm"), signature("1"), image("2"), image("3")]
    assert draft(delete(), *images).actions == draft(delete(), *reversed(images)).actions


# --- counts


def test_a_draft_counts_what_the_limits_need() -> None:
    images = [index("1", pushed="9d"), image(id="amd"), image(id="arm"), image("2", pushed="1d")]
    tally = draft(delete(), *images).tally
    assert (tally.registry, tally.repository, tally.planned) == ("prod", "team/app", True)
    assert (tally.images, tally.judged, tally.going) == (4, 2, 2)
    assert list(tally.times or ()) == [ago("9d").timestamp(), ago("1d").timestamp()]


def test_tags_to_take_off_are_planned_but_count_for_nothing() -> None:
    tally = draft(delete(tags="pr-*", untag=True), image("pr-1", "1.0")).tally
    assert (tally.planned, tally.going) == (True, 0)


def test_where_nothing_is_to_happen_nothing_is_planned() -> None:
    made = draft(keep(tags="*"), image("1"))
    assert (made.actions, made.tally.planned, made.tally.going) == ((), False, 0)


# --- what only the lack of a rule keeps


def test_images_that_no_rule_selects_are_counted_by_the_look_of_their_tag() -> None:
    images = [image("sha-1"), image("sha-2"), image("nightly-1"), image(id="untagged"), image("pr-1")]
    assert unselected(delete(tags="pr-*"), *images) == {"sha-*": 2, "nightly-*": 1, "untagged": 1}


def test_an_image_is_counted_by_the_tag_that_no_rule_selects() -> None:
    assert unselected(delete(tags="pr-*"), image("pr-1", "sha-1")) == {"sha-*": 1}


def test_an_image_is_counted_once() -> None:
    assert unselected(delete(tags="pr-*"), image("sha-1", "nightly-1")) == {"sha-*": 1}


def test_an_image_that_a_rule_selects_and_that_no_condition_takes_is_not_counted() -> None:
    assert unselected(delete(older_than="1y"), image("1")) == {}


def test_an_image_that_a_keep_rule_selects_by_one_of_its_tags_is_not_counted_when_it_is_kept() -> None:
    assert unselected([delete(tags="pr-*"), keep(tags="1.*")], image("1.0", "sha-1")) == {}


def test_an_image_that_stays_for_a_selected_tag_too_is_not_counted() -> None:
    assert unselected(delete(tags="pr-*", older_than="1y"), image("pr-1", "sha-1")) == {}


def test_what_is_protected_is_not_counted() -> None:
    made = assemble(decide([], image("stable"), image("x"), protect=protect(tags="stable")))
    assert dict(made.unselected) == {"x": 1}


def test_what_goes_by_any_of_its_tags_is_not_counted() -> None:
    assert unselected(delete(tags="pr-*", any_tag=True), image("pr-1", "sha-1")) == {}


def test_archived_images_and_platforms_are_not_counted() -> None:
    images = [image("cold", archived="9d"), index("1"), image(id="amd"), image(id="arm")]
    assert unselected(delete(tags="1"), *images) == {}


def test_what_the_floor_spares_is_not_counted() -> None:
    made = assemble(floor(decide(delete(), image("1")), 1))
    assert dict(made.unselected) == {}


def test_what_the_floor_or_the_grace_spares_for_any_of_its_tags_is_not_counted() -> None:
    rule = delete(tags="pr-*", any_tag=True)
    floored = floor(decide(rule, image("pr-1", "sha-1")), 1)
    young = decide(rule, image("pr-1", "sha-1", pushed="1h"), grace="24h")
    held = decide(rule, index("1", children=["amd"]), image("pr-1", "sha-1", id="amd"))
    assert [dict(assemble(each).unselected) for each in (floored, young)] == [{}, {}]
    assert dict(assemble(held).unselected) == {look("1"): 1}


@pytest.mark.parametrize(
    ("tag", "pattern"),
    [
        (None, "untagged"),
        ("1.2.3", "semver:*"),
        ("v1.2.3-rc.1", "semver:*"),
        ("sha-0a1b2c", "sha-*"),
        ("nightly.7", "nightly.*"),
        ("pr_7", "pr_*"),
        ("build123", "build*"),
        ("v1.2", "v*"),
        ("20260601", "[0-9]*"),
        ("main", "main"),
        ("_odd", "_odd"),
    ],
)
def test_the_look_of_a_tag_is_a_pattern_that_people_would_write(tag: str | None, pattern: str) -> None:
    assert look(tag) == pattern
