"""What happens to each image before the limits: rules, then what saves, then what goes along."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from msgspec.structs import replace

from janitor.core.decision import Decider
from janitor.core.image import Abilities, Image
from janitor.core.policy import Rule
from janitor.core.use import InUse
from tests.core.arrangement import ABLE, HOSTS, archived, decide, deleted, names, place, untagged
from tests.factories import (
    ago,
    cosign,
    delete,
    digest,
    image,
    in_use,
    index,
    inventory,
    keep,
    policy,
    policy_set,
    protect,
    signature,
)
from tests.instant import NOW

SECOND = timedelta(seconds=1)

# --- rules


def test_what_no_rule_deletes_stays() -> None:
    assert deleted(decide(delete(tags="pr-*"), image("pr-1"), image("1.0"), image(id="untagged"))) == {"pr-1"}


def test_an_empty_policy_deletes_nothing() -> None:
    assert deleted(decide([], image("1"), image(id="untagged"))) == set()


def test_across_rules_any_may_hold() -> None:
    rules = [delete(tags="pr-*"), delete(untagged=True)]
    assert deleted(decide(rules, image("pr-1"), image(id="untagged"))) == {"pr-1", "untagged"}


@pytest.mark.parametrize(
    "rules", list(itertools.permutations([keep(tags="pr-1"), delete(tags="*"), keep(tags="x")]))
)
def test_keep_beats_delete_in_any_order(rules: tuple[Rule, ...]) -> None:
    named = [replace(rule, name=f"r{n}") for n, rule in enumerate(rules)]
    assert deleted(decide(named, image("pr-1"), image("pr-2"))) == {"pr-2"}


def test_keep_beats_delete_across_policies() -> None:
    policies = policy_set(policy(delete(), name="a"), policy(keep(tags="1"), name="b"))
    decisions = Decider(policies, InUse(), NOW).decide(
        inventory(image("1"), image("2")), hosts=HOSTS, abilities=ABLE
    )
    assert deleted(decisions) == {"2"}


def test_a_tagged_image_goes_only_when_every_tag_is_taken() -> None:
    rule = delete(tags="pr-*")
    assert deleted(decide(rule, image("pr-1", "pr-2"), image("pr-3", "1.0"))) == {"pr-1 pr-2"}


def test_the_tags_of_an_image_may_be_taken_by_different_rules() -> None:
    rules = [delete(tags="pr-*"), delete(tags="sha-*")]
    assert deleted(decide(rules, image("pr-1", "sha-1"))) == {"pr-1 sha-1"}


def test_an_image_is_kept_when_any_of_its_tags_is_kept() -> None:
    rules = [delete(), keep(tags="1.0")]
    assert deleted(decide(rules, image("pr-1", "1.0"), image("pr-2"))) == {"pr-2"}


def test_a_keep_rule_that_does_not_hold_keeps_nothing() -> None:
    rules = [delete(), keep(tags="pr-*", newer_than="9d")]
    assert deleted(decide(rules, image("pr-1", pushed="10d"), image("pr-2", pushed="8d"))) == {"pr-1"}


def test_an_untagged_image_goes_when_a_rule_takes_it() -> None:
    assert deleted(decide(delete(untagged=True), image(id="a"), image("1"))) == {"a"}


def test_tags_all_is_not_confused_by_the_patterns_of_other_rules() -> None:
    rule = delete(tags_all=["pr-*", "sha-*"])
    others = [delete(tags="x*", older_than="1y"), keep(tags="sha-*", newer_than="1d")]
    assert deleted(decide([rule, *others], image("pr-1", "sha-1"))) == {"pr-1 sha-1"}
    assert deleted(decide([rule, *others], image("pr-1", "sha-1", "x"))) == set()


# --- any_tag


def test_by_any_tag_one_selected_tag_is_enough() -> None:
    assert deleted(decide(delete(tags="pr-*", any_tag=True), image("pr-1", "1.0"))) == {"pr-1 1.0"}


def test_by_any_tag_what_keeps_an_image_still_keeps_it() -> None:
    rules = [delete(tags="pr-*", any_tag=True), keep(tags="1.0")]
    assert deleted(decide(rules, image("pr-1", "1.0"))) == set()
    assert deleted(decide(rules[:1], image("pr-1", "1.0"), protect=protect(tags="1.0"))) == set()
    assert deleted(decide(rules[:1], image("pr-1", "1.0", pushed="1h"), grace="24h")) == set()


def test_by_any_tag_the_selected_tag_must_hold_by_the_conditions() -> None:
    rule = delete(tags="pr-*", any_tag=True, older_than="30d")
    assert deleted(decide(rule, image("pr-1", "1.0", pushed="9d"))) == set()


# --- what a policy covers


@pytest.mark.parametrize(
    ("covering", "covers"),
    [
        ({}, True),
        ({"registries": "p*"}, True),
        ({"registries": "staging"}, False),
        ({"repositories": ["team/*"]}, True),
        ({"repositories": ["**", "!team/*"]}, False),
        ({"repositories": "*"}, False),
    ],
)
def test_only_a_policy_that_covers_a_repository_counts_in_it(
    covering: dict[str, str], *, covers: bool
) -> None:
    decider = Decider(policy_set(policy(delete(), **covering)), InUse(), NOW)  # type: ignore[arg-type]  # words
    decisions = decider.decide(inventory(image("1")), hosts=HOSTS, abilities=ABLE)
    assert bool(deleted(decisions)) == covers


def test_repositories_are_decided_each_by_itself() -> None:
    decider = Decider(policy_set(delete(beyond_newest=1)), InUse(), NOW)
    for repository in ("a", "b"):
        listed = inventory(image("1", pushed="1d"), image("2", pushed="2d"), repository=repository)
        assert deleted(decider.decide(listed, hosts=HOSTS, abilities=ABLE)) == {"2"}


def test_periods_are_those_of_the_timezone_of_the_policy() -> None:
    midnight = ago("3d")
    around = [image("before", pushed=midnight - SECOND), image("after", pushed=midnight)]
    rules = [delete(), keep(one_per={"day": 2})]
    images = [*around, image("old", pushed="9d"), image("oldest", pushed="10d")]
    assert deleted(decide(rules, *images, timezone="UTC")) == {"old", "oldest"}
    assert deleted(decide(rules, *images, timezone="Europe/Berlin")) == {"before", "oldest"}


def test_a_narrowed_rule_counts_where_it_covers_alone() -> None:
    decider = Decider(policy_set(delete(), keep(repositories="a", tags="1")), InUse(), NOW)
    gone = [
        deleted(decider.decide(inventory(image("1"), repository=repository), hosts=HOSTS, abilities=ABLE))
        for repository in ("a", "b", "a")
    ]
    assert gone == [set(), {"1"}, set()]


# --- the grace


@pytest.mark.parametrize(("shift", "goes"), [(SECOND, False), (timedelta(0), True), (-SECOND, True)])
def test_the_grace_holds_what_is_younger_and_not_what_is_exactly_as_old(
    shift: timedelta, *, goes: bool
) -> None:
    one = image("1", pushed=ago("24h") + shift)
    assert bool(deleted(decide(delete(), one, grace="24h"))) is goes


def test_a_grace_of_nothing_holds_nothing() -> None:
    assert deleted(decide(delete(), image("1", pushed=NOW), grace="0h")) == {"1"}


def test_the_grace_counts_from_a_tag_placed_lately() -> None:
    assert deleted(decide(delete(), image("1", pushed="9d", tagged="1h"), grace="24h")) == set()


def test_the_grace_counts_from_a_change_that_nobody_explains() -> None:
    assert deleted(decide(delete(), image("1", pushed="9d", changed="1h"), grace="24h")) == set()


def test_a_young_platform_that_would_go_along_holds_its_index() -> None:
    images = [
        index("1", children=["inner"]),
        index(id="inner", children=["amd"]),
        image(id="amd", pushed="1h"),
    ]
    decisions = decide(delete(), *images, grace="24h")
    assert (deleted(decisions), names(decisions.facts.shape, decisions.young)) == (set(), {"1"})


def test_a_young_platform_that_would_move_along_holds_its_index_from_the_archive() -> None:
    images = [index("1", children=["amd"]), image(id="amd", pushed="1h"), index("2", children=["old"])]
    decisions = decide(delete(archive=True), *images, image(id="old"), grace="24h")
    assert archived(decisions) == {"2", "old"}


def test_a_young_platform_holds_every_index_that_names_it_whatever_else_goes() -> None:
    """Else one more protection, of the index that shares it, would let the other go."""
    images = [index("1", children=["amd"]), index("2", children=["amd"]), image(id="amd", pushed="1h")]
    for tags in ("1", "*"):
        assert deleted(decide(delete(tags=tags), *images, grace="24h")) == set()
    assert deleted(decide(delete(tags="1"), *images, grace="1h")) == {"1"}


def test_an_index_held_by_a_young_platform_holds_its_other_platforms() -> None:
    images = [index("1"), image(id="amd", pushed="1h"), image("1-arm", id="arm")]
    assert deleted(decide(delete(), *images, grace="24h")) == set()


def test_referrers_have_no_grace_of_their_own() -> None:
    images = [image("1"), signature("1", pushed="1h"), cosign("1", id="sig", pushed="1h")]
    assert deleted(decide(delete(), *images, grace="24h")) == {"1", "signature of 1", "sig"}


def test_the_grace_holds_an_image_without_a_usable_time_from_every_rule_that_does_not_say_undated() -> None:
    assert deleted(decide([delete(), delete(tags="*", any_tag=True)], image("1", pushed=None))) == set()


def test_a_rule_that_says_undated_takes_an_image_without_a_usable_time() -> None:
    undated = image("1", pushed=None)
    assert deleted(decide(delete(undated=True), undated, image("2"), grace="24h")) == {"1"}


def test_other_rules_have_no_say_in_the_end_of_an_image_without_a_usable_time() -> None:
    rules = [delete(undated=True, tags="a"), delete(tags="b")]
    assert deleted(decide(rules, image("a", "b", pushed=None), image("2"))) == set()


# --- shape


def test_an_index_goes_with_its_platforms_and_signatures() -> None:
    images = [index("1"), image(id="amd"), image(id="arm"), signature("1"), signature("amd")]
    assert deleted(decide(delete(tags="1"), *images)) == {
        "1",
        "amd",
        "arm",
        "signature of 1",
        "signature of amd",
    }


def test_no_rule_takes_a_platform_from_under_its_index() -> None:
    images = [index("1"), image(id="amd"), image(id="arm")]
    assert deleted(decide(delete(untagged=True), *images)) == set()


def test_a_keep_rule_does_not_hold_what_is_no_candidate() -> None:
    rules = [delete(tags="1"), keep(untagged=True), keep(type="signature")]
    images = [index("1", children=["amd"]), image(id="amd"), signature("1")]
    assert deleted(decide(rules, *images)) == {"1", "amd", "signature of 1"}


def test_a_tagged_platform_is_judged_by_its_tags_but_stays_while_its_index_stays() -> None:
    images = [index("1", children=["amd"]), image("1-amd", id="amd")]
    assert deleted(decide(delete(tags="1-amd"), *images)) == set()
    assert deleted(decide(delete(tags="1"), *images)) == {"1"}
    assert deleted(decide(delete(), *images)) == {"1", "amd"}


def test_what_something_that_stays_holds_is_known() -> None:
    decisions = decide(delete(tags="1-amd"), index("1", children=["amd"]), image("1-amd", id="amd"))
    assert names(decisions.facts.shape, decisions.held) == {"amd"}


def test_what_goes_moves_or_is_young_is_not_held() -> None:
    rules = [delete(tags=["1", "3", "young"]), delete(tags="2", archive=True)]
    images = [image("1"), image("2"), image("young", pushed="1h"), index("3", children=["amd"])]
    decisions = decide(rules, *images, image(id="amd", pushed="1h"), grace="24h")
    assert (deleted(decisions), archived(decisions), decisions.held) == ({"1"}, {"2"}, set())


def test_an_index_that_is_judged_alone_leaves_a_shared_platform() -> None:
    images = [
        index("1", children=["amd", "arm"]),
        index("2", children=["amd"]),
        image(id="amd"),
        image(id="arm"),
    ]
    assert deleted(decide(delete(tags="1"), *images)) == {"1", "arm"}


def test_an_orphan_goes_by_a_rule_that_says_orphaned() -> None:
    images = [image("1"), signature("1"), signature("gone"), cosign("gone", id="sig")]
    assert deleted(decide(delete(orphaned=True), *images)) == {"signature of gone", "sig"}


# --- untag


def test_untag_takes_the_selected_tags_off_an_image_that_stays_for_another() -> None:
    decisions = decide(delete(tags="pr-*", untag=True), image("pr-1", "pr-2", "1.0"))
    assert (untagged(decisions), deleted(decisions)) == ({"pr-1 pr-2 1.0": ("pr-1", "pr-2")}, set())


def test_without_untag_the_tags_of_an_image_stay_as_they_are() -> None:
    assert untagged(decide(delete(tags="pr-*"), image("pr-1", "1.0"))) == {}


def test_an_image_all_of_whose_tags_are_taken_is_deleted_and_not_untagged() -> None:
    decisions = decide(delete(tags="pr-*", untag=True), image("pr-1", "pr-2"))
    assert (untagged(decisions), deleted(decisions)) == ({}, {"pr-1 pr-2"})


def test_untag_takes_off_only_what_its_own_rule_selects() -> None:
    rules = [delete(tags="pr-*", untag=True), delete(tags="sha-*")]
    assert untagged(decide(rules, image("pr-1", "sha-1", "1.0"))) == {"pr-1 sha-1 1.0": ("pr-1",)}


def test_a_tag_that_another_rule_condemns_is_none_to_stay_for() -> None:
    rules = [delete(tags="pr-*", untag=True), delete(tags="sha-*")]
    held = [image("pr-1", "sha-1", id="amd"), index("1", children=["amd"])]
    assert untagged(decide(rules, *held)) == {}


def test_a_kept_tag_is_never_taken_off_and_one_to_stay_for() -> None:
    rules = [delete(untag=True), keep(tags="1.0")]
    assert untagged(decide(rules, image("pr-1", "1.0"))) == {"pr-1 1.0": ("pr-1",)}


def test_a_protected_tag_is_never_taken_off_and_one_to_stay_for() -> None:
    decisions = decide(delete(untag=True), image("pr-1", "1.0"), protect=protect(tags="1.0"))
    assert untagged(decisions) == {"pr-1 1.0": ("pr-1",)}


def test_a_tag_in_use_is_never_taken_off_and_one_to_stay_for() -> None:
    decisions = decide(delete(untag=True), image("pr-1", "1.0"), in_use=in_use("registry.test/team/app:1.0"))
    assert untagged(decisions) == {"pr-1 1.0": ("pr-1",)}


def test_an_image_that_stays_for_no_tag_keeps_all_of_them() -> None:
    used = in_use(f"registry.test/team/app@{image('pr-1', 'pr-2').digest}")
    assert untagged(decide(delete(untag=True), image("pr-1", "pr-2"), in_use=used)) == {}


def test_by_any_tag_the_other_tags_are_none_to_stay_for() -> None:
    used = in_use(f"registry.test/team/app@{image('pr-1', '1.0').digest}")
    rule = delete(tags="pr-*", any_tag=True, untag=True)
    assert untagged(decide(rule, image("pr-1", "1.0"), in_use=used)) == {}


def test_no_tag_is_taken_off_inside_the_grace() -> None:
    rule = delete(tags="pr-*", untag=True)
    young = [
        image("pr-1", "1.0", pushed="1h"),
        image("pr-2", "2.0", tagged="1h"),
        image("pr-3", "3.0", changed="1h"),
    ]
    assert untagged(decide(rule, *young, grace="24h")) == {}


def test_no_tag_is_taken_off_under_a_lock() -> None:
    assert untagged(decide(delete(tags="pr-*", untag=True), image("pr-1", "1.0", locked=True))) == {}


def test_no_tag_is_taken_off_an_image_without_a_usable_time_but_by_a_rule_that_says_undated() -> None:
    undated = image("pr-1", "1.0", pushed=None), image("2")
    assert untagged(decide(delete(tags="pr-*", untag=True), *undated)) == {}
    assert untagged(decide(delete(tags="pr-*", undated=True, untag=True), *undated)) == {
        "pr-1 1.0": ("pr-1",)
    }


def test_nothing_is_untagged_where_the_registry_cannot() -> None:
    unable = Abilities(untags=False)
    assert untagged(decide(delete(tags="pr-*", untag=True), image("pr-1", "1.0"), abilities=unable)) == {}


def test_untag_deletes_where_the_registry_cannot_untag() -> None:
    unable = Abilities(untags=False)
    assert deleted(decide(delete(tags="pr-*", untag=True), image("pr-1"), abilities=unable)) == {"pr-1"}


# --- the archive


def test_archive_moves_and_deletes_nothing() -> None:
    decisions = decide(delete(tags="pr-*", archive=True), image("pr-1"), image("1.0"))
    assert (archived(decisions), deleted(decisions)) == ({"pr-1"}, set())


def test_an_archive_rule_does_nothing_where_there_is_no_archive() -> None:
    decisions = decide(delete(archive=True), image("1"), abilities=Abilities(archives=False))
    assert (archived(decisions), deleted(decisions)) == (set(), set())


def test_an_image_that_rules_of_both_kinds_take_is_deleted() -> None:
    decisions = decide([delete(archive=True), delete(tags="1")], image("1"), image("2"))
    assert (archived(decisions), deleted(decisions)) == ({"2"}, {"1"})


def test_an_image_that_rules_of_both_kinds_take_only_together_is_archived() -> None:
    decisions = decide([delete(tags="a", archive=True), delete(tags="b")], image("a", "b"))
    assert (archived(decisions), deleted(decisions)) == ({"a b"}, set())


def test_archiving_by_any_tag_deletes_nothing() -> None:
    decisions = decide([delete(tags="a", archive=True, any_tag=True), delete(tags="b")], image("a", "b", "c"))
    assert (archived(decisions), deleted(decisions)) == ({"a b c"}, set())


def test_what_belongs_to_an_archived_image_moves_along() -> None:
    images = [index("1"), image(id="amd"), image(id="arm"), signature("1")]
    assert archived(decide(delete(archive=True), *images)) == {"1", "amd", "arm", "signature of 1"}


def test_what_is_in_the_archive_already_does_not_move_again() -> None:
    images = [index("1"), image(id="amd", archived="9d"), image(id="arm")]
    assert archived(decide(delete(tags="1", archive=True), *images)) == {"1", "arm"}


@pytest.mark.parametrize(
    "shield",
    [
        {"protect": protect(tags="1")},
        {"in_use": in_use("registry.test/team/app:1")},
        {"grace": "1y"},
    ],
)
def test_whatever_keeps_an_image_from_deletion_keeps_it_from_the_archive(shield: dict[str, str]) -> None:
    assert archived(decide(delete(archive=True), image("1"), **shield)) == set()  # type: ignore[arg-type]  # words


def test_a_keep_rule_and_a_lock_keep_from_the_archive() -> None:
    decisions = decide([delete(archive=True), keep(tags="1")], image("1"), image("2", locked=True))
    assert archived(decisions) == set()


def test_an_archived_image_goes_only_by_a_rule_that_says_archived() -> None:
    cold = image("1", archived="100d")
    assert deleted(decide(delete(), cold)) == set()
    assert deleted(decide(delete(archived=True, archived_for="90d"), cold)) == {"1"}


def test_an_archived_image_is_kept_by_a_rule_that_says_archived_alone() -> None:
    going, cold = delete(archived=True, archived_for="90d"), image("1", archived="100d")
    assert deleted(decide([going, keep(tags="1")], cold)) == {"1"}
    assert deleted(decide([going, keep(archived=True, tags="1")], cold)) == set()


# --- narrowed afterwards


def test_only_what_may_be_deleted_goes_and_what_that_holds_stays() -> None:
    images: list[Image] = [
        index("1"),
        image(id="amd"),
        image(id="arm"),
        index("2", children=["s"]),
        image(id="s"),
    ]
    decisions = decide(delete(), *images)
    shape = decisions.facts.shape
    some = {place(shape, name) for name in ("1", "amd", "2", "s")}
    assert deleted(decisions.only(some)) == {"1", "amd", "2", "s"}
    assert deleted(decisions.only({place(shape, "s")})) == set()


def test_a_tagged_platform_is_not_deleted_without_its_index() -> None:
    decisions = decide(delete(), index("1", children=["amd"]), image("1-amd", id="amd"))
    assert deleted(decisions.only({place(decisions.facts.shape, "amd")})) == set()


def test_without_an_image_what_it_holds_stays_too() -> None:
    decisions = decide(delete(), index("1"), image(id="amd"), image("1-arm", id="arm"), image("2"))
    spared = decisions.without({place(decisions.facts.shape, "1")})
    assert (deleted(spared), names(decisions.facts.shape, spared.held)) == ({"2"}, {"arm"})


# --- planned again


def test_planning_again_after_applying_plans_nothing() -> None:
    images = [image(f"pr-{n}", pushed=f"{n}d") for n in range(1, 9)]
    images += [index("1"), image(id="amd"), image(id="arm"), signature("1")]
    rules = [delete(tags="pr-*", beyond_newest=3), delete(tags="1")]
    first = decide(rules, *images)
    left = [one for i, one in enumerate(images) if first.action(i) is None]
    assert deleted(first)
    assert deleted(decide(rules, *left)) == set()


def test_the_order_of_the_listing_does_not_matter() -> None:
    images = [image(f"pr-{n}", pushed="9d") for n in range(4)]
    images += [index("1"), image(id="amd"), image(id="arm"), signature("amd")]
    rules = [delete(tags="pr-*", beyond_newest=2), delete(tags="1")]
    assert deleted(decide(rules, *images)) == deleted(decide(rules, *reversed(images)))


def test_a_young_signature_holds_the_index_that_names_it_before_and_after_its_image_goes() -> None:
    """Else the index went in the run after the one that took the image: planning again would not be done."""
    signature = cosign("x", id="sig", pushed="1h")
    holder = index("list", id="holder", children=["sig"])
    rule = delete(tags="*")
    assert deleted(decide(rule, image("x"), signature, holder, grace="24h")) == {"x"}
    assert deleted(decide(rule, signature, holder, grace="24h")) == set()


# --- registries where what refers to an image goes with it

CASCADING = Abilities(records_pushes=True, untags=True, cascades=True)


def test_an_image_stays_while_a_referrer_that_would_go_with_it_stays() -> None:
    images = [image("1"), signature("1", id="sig")]
    used = in_use(f"registry.test/team/app@{digest('sig')}")
    assert deleted(decide(delete(tags="1"), *images, in_use=used)) == {"1"}
    assert deleted(decide(delete(tags="1"), *images, in_use=used, abilities=CASCADING)) == set()
    assert deleted(decide(delete(tags="1"), *images, abilities=CASCADING)) == {"1", "sig"}


def test_a_platform_stays_while_a_referrer_that_would_go_with_it_stays_and_so_does_its_index() -> None:
    """An index may take its platforms along, too."""
    images = [index("1"), image(id="amd"), image(id="arm"), signature("amd", "mine", id="sig")]
    assert deleted(decide(delete(tags="1"), *images, abilities=CASCADING)) == set()


def test_a_referrer_of_a_referrer_holds_both() -> None:
    images = [image("1"), signature("1", id="sig"), signature("sig", "mine", id="of-sig")]
    assert deleted(decide(delete(tags="1"), *images, abilities=CASCADING)) == set()
