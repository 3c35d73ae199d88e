"""Which images, by which of their tags, a rule speaks of."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from janitor.core.facts import Facts
from janitor.core.pattern import PatternKind, PatternList, TagMatcher
from janitor.core.policy import Rule
from janitor.core.selection import Lists, Slots, choose
from tests.core.arrangement import chosen, decide, deleted
from tests.factories import cosign, delete, image, index, keep, signature
from tests.instant import NOW


def unsure(rule: Rule, *images: object) -> list[int]:
    """The images that a rule chooses without being sure of them."""
    facts, lists = Facts(images, NOW), Lists([rule])  # type: ignore[arg-type]  # images of tests
    return sorted(choose(rule, lists.bits(rule), Slots(facts, lists.matcher()), facts).unsure)


# --- tags


def test_a_tag_is_selected_when_some_pattern_matches_and_no_negated_one_does() -> None:
    rule = delete(tags=["pr-*", "sha-*", "!pr-keep*"])
    assert chosen(rule, image("pr-1"), image("pr-keep-1"), image("sha-1"), image("1.0")) == {"pr-1", "sha-1"}


def test_the_order_of_patterns_does_not_matter() -> None:
    images = image("pr-1"), image("pr-keep")
    assert chosen(delete(tags=["!pr-keep", "pr-*"]), *images) == {"pr-1"}


def test_tags_select_single_tags_of_an_image() -> None:
    assert chosen(delete(tags="pr-*"), image("pr-1", "1.0", "pr-2")) == {"pr-1", "pr-2"}


def test_tags_select_no_untagged_image() -> None:
    assert chosen(delete(tags="*"), image("1"), image(id="untagged")) == {"1"}


def test_tags_all_wants_a_tag_for_each_pattern() -> None:
    rule = delete(tags_all=["pr-*", "sha-*"])
    assert chosen(rule, image("pr-1", "sha-1"), image("pr-2"), image("sha-2")) == {"pr-1", "sha-1"}


def test_tags_all_selects_all_tags_that_match_any_of_its_patterns_and_no_other() -> None:
    rule = delete(tags_all=["pr-*", "sha-*"])
    assert chosen(rule, image("pr-1", "pr-2", "sha-1", "1.0")) == {"pr-1", "pr-2", "sha-1"}


def test_one_tag_may_be_that_of_two_patterns_of_tags_all() -> None:
    assert chosen(delete(tags_all=["pr-*", "*-1"]), image("pr-1")) == {"pr-1"}


def test_untagged_selects_images_without_a_tag() -> None:
    assert chosen(delete(untagged=True), image("1"), image(id="untagged")) == {"untagged"}


def test_untagged_selects_no_platform() -> None:
    images = index("1"), image(id="amd"), image(id="arm")
    assert chosen(delete(untagged=True), *images) == set()


def test_without_selectors_every_tag_and_untagged_images_are_selected() -> None:
    assert chosen(delete(), image("1", "2"), image(id="untagged")) == {"1", "2", "untagged"}


def test_no_rule_speaks_of_a_scheme_tag_whose_subject_is_here() -> None:
    assert chosen(delete(tags="*"), image("1"), cosign("1")) == {"1"}


# --- type


def test_type_image_selects_what_is_of_type_index_too() -> None:
    images = [image("1"), index("2"), image("3", type="helm")]
    assert chosen(delete(type="image"), *images) == {"1", "2"}


def test_type_index_selects_no_image() -> None:
    assert chosen(delete(type="index"), image("1"), index("2")) == {"2"}


def test_any_type_of_several_is_selected() -> None:
    images = [image(name, type=name) for name in ("helm", "cache", "artifact", "sbom")]
    assert chosen(delete(type=["helm", "cache"]), *images) == {"helm", "cache"}


def test_an_unknown_type_is_selected_in_keep_and_not_in_delete() -> None:
    unknown = image("1", type=None)
    assert chosen(keep(type="helm"), unknown) == {"1"}
    assert chosen(delete(type="helm"), unknown) == set()


# --- labels


def test_labels_select_by_a_glob_of_the_value() -> None:
    images = [image("1", labels={"team": "web-1"}), image("2", labels={"team": "api"})]
    assert chosen(delete(labels={"team": "web-*"}), *images) == {"1"}


def test_an_image_without_the_label_is_not_selected() -> None:
    assert chosen(delete(labels={"team": "*"}), image("1", labels={})) == set()


def test_a_negated_label_selects_images_that_have_the_label_with_another_value() -> None:
    images = [image("1", labels={"team": "web"}), image("2", labels={"team": "api"}), image("3", labels={})]
    assert chosen(delete(labels={"team": "!web"}), *images) == {"2"}


def test_every_label_must_match() -> None:
    images = [image("1", labels={"a": "1", "b": "1"}), image("2", labels={"a": "1", "b": "2"})]
    assert chosen(delete(labels={"a": "1", "b": "1"}), *images) == {"1"}


def test_unknown_labels_are_selected_in_keep_and_not_in_delete() -> None:
    unknown = image("1", labels=None)
    assert chosen(keep(labels={"team": "web"}), unknown) == {"1"}
    assert chosen(delete(labels={"team": "web"}), unknown) == set()


def test_an_unknown_label_does_not_outweigh_a_known_selector() -> None:
    assert chosen(keep(labels={"team": "web"}, tags="pr-*"), image("1.0", labels=None)) == set()


def test_what_a_keep_rule_chooses_unsurely_is_known_as_such() -> None:
    rule = keep(type="helm", labels={"a": "1"})
    images = [image("1", type=None, labels={"a": "1"}), image("2", type="helm", labels={"a": "1"})]
    assert unsure(rule, *images) == [0]


# --- repositories and registries


@pytest.mark.parametrize(
    ("narrowing", "goes"),
    [
        ({"repositories": "team/*"}, True),
        ({"repositories": "*"}, False),
        ({"repositories": ["**", "!team/app"]}, False),
        ({"registries": "pro*"}, True),
        ({"registries": "staging"}, False),
        ({"registries": "prod", "repositories": "other/**"}, False),
    ],
)
def test_a_rule_may_narrow_what_its_policy_covers(narrowing: dict[str, str], *, goes: bool) -> None:
    decisions = decide(delete(**narrowing), image("1"))
    assert deleted(decisions) == ({"1"} if goes else set())


# --- orphans, undated, archived


def test_orphaned_selects_untagged_referrers_whose_subject_is_gone() -> None:
    images = [image("1"), signature("1"), signature("gone"), image(id="untagged")]
    assert chosen(delete(orphaned=True), *images) == {"signature of gone"}


def test_orphaned_selects_an_orphan_that_has_scheme_tags() -> None:
    orphan = cosign("gone")
    assert chosen(delete(orphaned=True), image("1"), signature("1"), orphan) == set(orphan.tags)


def test_a_tagged_referrer_is_no_orphan() -> None:
    images = [image("1"), signature("1"), signature("gone", "sbom")]
    assert chosen(delete(orphaned=True), *images) == set()


def test_an_orphan_is_judged_as_any_image() -> None:
    images = [image("1"), signature("1"), signature("gone")]
    assert chosen(delete(untagged=True), *images) == {"signature of gone"}


def test_undated_selects_images_without_a_usable_time() -> None:
    assert chosen(delete(undated=True), image("1"), image("2", pushed=None)) == {"2"}


def test_archived_selects_images_of_the_archive_class() -> None:
    images = [image("1"), image("2", archived="9d")]
    assert chosen(delete(archived=True), *images) == {"2"}


def test_no_other_rule_speaks_of_archived_images() -> None:
    archived = image("1", archived="9d")
    assert (chosen(delete(), archived), chosen(keep(), archived)) == (set(), set())


def test_selectors_hold_together() -> None:
    rule = delete(tags="pr-*", type="helm", labels={"a": "1"})
    right = image("pr-1", type="helm", labels={"a": "1"})
    wrong = [
        image("1.0", type="helm", labels={"a": "1"}),
        image("pr-2", labels={"a": "1"}),
        image("pr-3", type="helm", labels={}),
    ]
    assert chosen(rule, right, *wrong) == {"pr-1"}


# --- slots


def test_slots_of_one_image_stand_together_in_the_order_of_its_tags() -> None:
    slots = Slots(Facts([image("b", "a"), image(id="untagged"), image("c")], NOW), TagMatcher([]))
    assert list(zip(slots.image, slots.tag, strict=True)) == [(0, "b"), (0, "a"), (1, None), (2, "c")]
    assert [list(slots.of(i)) for i in range(3)] == [[0, 1], [2], [3]]


def test_what_is_no_candidate_has_no_slot() -> None:
    slots = Slots(Facts([index("1", children=["amd"]), image(id="amd")], NOW), TagMatcher([]))
    assert slots.image == [0]


def test_an_untagged_image_is_selected_by_no_pattern() -> None:
    everything = TagMatcher([PatternList.of(["*"], PatternKind.TAG)])
    assert Slots(Facts([image(id="untagged"), image("1")], NOW), everything).selected == [0, 1]


def test_lists_are_numbered_across_rules() -> None:
    rules = [delete(name="a", tags="x"), keep(name="b", tags_all=["y", "z"]), delete(name="c")]
    lists = Lists(rules)
    assert [lists.bits(rule) for rule in rules] == [(1,), (2, 4), ()]
    assert lists.add(PatternList.of(["q"], PatternKind.TAG)) == 8
    assert [lists.matcher().select(tag) for tag in "xyzq"] == [1, 2, 4, 8]


def test_images_of_an_index_of_unknown_children_are_not_spoken_of_unless_tagged() -> None:
    images = [index("1", children=UNSET), image(id="untagged")]
    assert chosen(delete(), *images) == {"1"}
