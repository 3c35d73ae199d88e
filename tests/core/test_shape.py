"""What indexes hold, what refers to what, and what lives and goes together."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from janitor.core.image import Image
from janitor.core.shape import Shape, closed
from tests.core.arrangement import names, place
from tests.factories import cosign, digest, image, index, signature


def candidates(*images: Image) -> set[str]:
    shape = Shape(images)
    return names(shape, shape.candidates)


def orphans(*images: Image) -> set[str]:
    shape = Shape(images)
    return names(shape, shape.orphans)


def along(shape: Shape, going: Iterable[str], staying: Iterable[str] = ()) -> dict[str, set[str]]:
    """What goes along with these, each with what it hangs on."""
    went = shape.along({place(shape, name) for name in going}, {place(shape, name) for name in staying})
    return {name: names(shape, went[place(shape, name)]) for name in names(shape, went)}


def left_going(
    shape: Shape, condemned: Iterable[str], archived: Iterable[str] = (), staying: Iterable[str] = ()
) -> tuple[set[str], set[str], set[str], set[str]]:
    """What still goes to deletion and to the archive, and what goes along with each."""
    sets = ({place(shape, name) for name in each} for each in (condemned, archived, staying))
    deleted, moved, with_deleted, with_moved = closed(shape, *sets)
    return (
        names(shape, deleted),
        names(shape, moved),
        names(shape, with_deleted),
        names(shape, with_moved),
    )


# --- platforms


def test_an_untagged_image_that_an_index_names_is_no_candidate() -> None:
    assert candidates(index("1"), image(id="amd"), image(id="arm")) == {"1"}


def test_a_tagged_image_that_an_index_names_is_a_candidate() -> None:
    assert candidates(index("1"), image("1-amd", id="amd")) == {"1", "amd"}


def test_an_untagged_image_that_nothing_names_is_a_candidate() -> None:
    assert candidates(index("1", children=["amd"]), image(id="alone")) == {"1", "alone"}


def test_a_platform_of_a_platform_is_no_candidate() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    assert candidates(outer, inner, image(id="amd")) == {"1"}


def test_platforms_are_those_at_any_depth_each_once() -> None:
    outer = index("1", children=["inner", "amd"])
    shape = Shape([outer, index(id="inner", children=["amd", "arm"]), image(id="amd"), image(id="arm")])
    assert sorted(shape.platforms(0)) == [1, 2, 3]


def test_what_is_no_index_has_no_platforms() -> None:
    assert Shape([image("1")]).platforms(0) == ()


def test_a_child_that_the_registry_does_not_hold_is_no_failure() -> None:
    shape = Shape([index("1", children=["amd", "absent"]), image(id="amd")])
    assert shape.children == {0: (1,)}


def test_an_index_of_absent_children_alone_is_a_candidate_without_platforms() -> None:
    shape = Shape([index("1", children=["absent"])])
    assert (shape.candidates, shape.platforms(0)) == ([0], ())


def test_an_index_that_names_itself_or_one_child_twice_holds_each_other_image_once() -> None:
    shape = Shape([index(id="1", children=["1", "amd", "amd"]), image(id="amd")])
    assert (shape.children, shape.holders) == ({0: (1,)}, {1: [0]})


def test_an_untagged_index_that_names_itself_is_a_candidate() -> None:
    assert candidates(index(id="1", children=["1"])) == {"1"}


def test_indexes_holding_an_image_are_found_at_any_depth() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([image(id="amd"), inner, outer, index("2", children=["arm"]), image(id="arm")])
    assert names(shape, shape.indexes_holding([0])) == {"inner", "1"}


# --- what goes along


def test_platforms_go_along_with_their_index_at_any_depth() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([outer, inner, image(id="amd")])
    assert along(shape, {"1"}) == {"inner": {"1"}, "amd": {"1"}}


def test_a_platform_of_two_indexes_lives_as_long_as_either() -> None:
    shape = Shape([index("1", children=["amd"]), index("2", children=["amd"]), image(id="amd")])
    assert along(shape, {"1"}) == {}


def test_a_platform_of_two_indexes_goes_with_the_last_and_hangs_on_both() -> None:
    shape = Shape([index("1", children=["amd"]), index("2", children=["amd"]), image(id="amd")])
    assert along(shape, {"1", "2"}) == {"amd": {"1", "2"}}


def test_a_platform_goes_once_both_a_nested_and_an_outer_index_go() -> None:
    outer = index("1", children=["amd", "inner"])
    shape = Shape([outer, image(id="amd"), index(id="inner", children=["amd"])])
    assert along(shape, {"1"}) == {"amd": {"1"}, "inner": {"1"}}


def test_a_tagged_child_does_not_go_along() -> None:
    shape = Shape([index("1", children=["amd"]), image("1-amd", id="amd")])
    assert along(shape, {"1"}) == {}


def test_what_stays_does_not_go_along_nor_what_hangs_on_it() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([outer, inner, image(id="amd")])
    assert along(shape, {"1"}, staying={"inner"}) == {}


# --- referrers


def test_a_referrer_of_an_image_that_is_here_is_no_candidate_and_goes_with_it() -> None:
    shape = Shape([image("1"), signature("1")])
    assert (names(shape, shape.candidates), along(shape, {"1"})) == ({"1"}, {"signature of 1": {"1"}})


def test_a_referrer_of_a_referrer_goes_with_them() -> None:
    shape = Shape([image("1"), signature("1", id="sbom"), signature("sbom", id="its signature")])
    assert along(shape, {"1"}) == {"sbom": {"1"}, "its signature": {"1"}}


def test_the_signature_of_a_platform_goes_with_the_index() -> None:
    shape = Shape([index("1", children=["amd"]), image(id="amd"), signature("amd")])
    assert along(shape, {"1"}) == {"amd": {"1"}, "signature of amd": {"1"}}


def test_tags_of_cosigns_scheme_are_links_and_no_tags() -> None:
    beside = [cosign("1", kind, id=kind) for kind in ("sig", "att", "sbom")]
    shape = Shape([image("1"), *beside])
    assert shape.tags == [("1",), (), (), ()]
    assert along(shape, {"1"}) == {"sig": {"1"}, "att": {"1"}, "sbom": {"1"}}


def test_an_index_by_the_referrers_tag_goes_with_the_subject_and_what_it_lists_too() -> None:
    fallback = index(digest("1").replace(":", "-"), id="list", children=["signature of 1"])
    shape = Shape([signature("1"), fallback, image("1")])
    assert names(shape, shape.candidates) == {"1"}
    assert along(shape, {"1"}) == {"list": {"1"}, "signature of 1": {"1"}}


def test_a_referrers_tag_on_what_is_no_index_is_a_tag_like_any_other() -> None:
    tag = digest("1").replace(":", "-")
    shape = Shape([image("1"), image(tag, id="other")])
    assert (shape.tags[1], shape.subjects) == ((tag,), {})


def test_a_scheme_tag_on_the_subject_itself_is_a_tag_like_any_other() -> None:
    tag = f"{digest('1').replace(':', '-')}.sig"
    assert Shape([image(tag, id="1")]).tags == [(tag,)]


def test_a_referrer_with_a_tag_of_its_own_is_a_candidate_that_does_not_go_along() -> None:
    tagged = cosign("1", id="signed")
    own = image(*tagged.tags, "my-signature", id="signed")
    shape = Shape([image("1"), own])
    assert shape.tags[1] == ("my-signature",)
    assert (names(shape, shape.candidates), along(shape, {"1"})) == ({"1", "signed"}, {})


def test_a_referrer_by_field_with_a_tag_of_its_own_is_a_candidate() -> None:
    assert candidates(image("1"), signature("1", "v1-sbom", id="sbom")) == {"1", "sbom"}


def test_images_that_refer_to_one_another_are_no_candidates_and_never_go() -> None:
    shape = Shape([signature("b", id="a"), signature("a", id="b"), image("1")])
    assert (names(shape, shape.candidates), along(shape, {"1"})) == ({"1"}, {})


# --- orphans


def test_a_referrer_whose_subject_is_gone_is_an_orphan() -> None:
    assert orphans(image("1"), signature("1"), signature("gone")) == {"signature of gone"}


def test_scheme_tags_count_as_tags_of_an_orphan() -> None:
    gone = cosign("gone", id="orphan")
    shape = Shape([image("1"), signature("1"), gone])
    assert (names(shape, shape.orphans), shape.tags[2]) == ({"orphan"}, gone.tags)


def test_a_referrer_with_a_tag_of_its_own_is_no_orphan_and_its_scheme_tag_no_tag() -> None:
    own = image(*cosign("gone").tags, "kept", id="own")
    shape = Shape([image("1"), signature("1"), own])
    assert (shape.orphans, shape.tags[2]) == (set(), ("kept",))


def test_a_referrer_with_one_of_its_subjects_here_is_no_orphan() -> None:
    both = signature("gone", *cosign("1").tags, id="both")
    shape = Shape([image("1"), both])
    assert (shape.orphans, names(shape, shape.candidates)) == (set(), {"1"})


def test_a_referrer_that_an_index_names_is_no_orphan() -> None:
    listing = index("list", children=["signature of gone"])
    assert orphans(image("1"), signature("1"), listing, signature("gone")) == set()


def test_where_no_referrer_has_its_subject_beside_it_no_untagged_one_is_a_candidate() -> None:
    apart = [signature("gone"), cosign("other", id="other's")]
    assert candidates(image("1"), *apart) == {"1"}


def test_where_no_referrer_has_its_subject_beside_it_a_tagged_one_is_a_candidate() -> None:
    assert candidates(signature("gone", "mine", id="mine")) == {"mine"}


def test_what_refers_to_an_orphan_goes_with_it() -> None:
    shape = Shape([image("1"), signature("1"), signature("gone", id="a"), signature("a", id="b")])
    assert along(shape, {"a"}) == {"b": {"a"}}


# --- what is unknown


def test_an_index_whose_children_are_unknown_is_shut() -> None:
    shape = Shape([index("1", children=UNSET), image("2", children=UNSET)])
    assert names(shape, shape.shut) == {"1"}


def test_an_index_is_known_by_its_type_or_by_its_media_type() -> None:
    by_type = index("1", children=UNSET, media_type=None)
    by_media_type = index("2", children=UNSET, type=None)
    shape = Shape([by_type, by_media_type])
    assert names(shape, shape.shut) == {"1", "2"}


def test_only_what_is_known_as_an_index_is_shut_without_its_children() -> None:
    """A line of few keys is an image, and not an index that nobody could read."""
    images = [
        image("1", children=UNSET, type=None, media_type=None),
        image("2", children=UNSET, type="helm", media_type=None),
        image("3", children=UNSET, type=None),
        image("4", children=UNSET, type="index", media_type=None),
    ]
    shape = Shape(images)
    assert names(shape, shape.shut) == {"4"}


def test_beside_an_index_of_unknown_children_no_untagged_image_is_a_candidate() -> None:
    shut = index("1", children=UNSET)
    assert candidates(shut, image(id="alone"), image("2")) == {"1", "2"}


def test_beside_an_index_of_unknown_children_no_orphan_is_a_candidate() -> None:
    shut = index("1", children=UNSET)
    assert candidates(shut, signature("1"), cosign("gone", id="orphan")) == {"1"}


def test_every_image_that_is_no_candidate_has_its_reason() -> None:
    apart = Shape([signature("gone")])
    shut = Shape([index("1", children=UNSET), image(id="alone")])
    shape = Shape([index("1", children=["amd"]), image(id="amd"), signature("1")])
    reasons = [
        shape.why_no_candidate(1),
        shape.why_no_candidate(2),
        apart.why_no_candidate(0),
        shut.why_no_candidate(1),
    ]
    assert [why.split(":")[0] for why in reasons] == [
        "an index names it",
        "it refers to an image that is here",
        "no signature here has what it signs beside it",
        "the children of an index here are unknown",
    ]


# --- who is held


def test_a_tagged_child_stays_while_an_index_that_names_it_stays() -> None:
    shape = Shape([index("1", children=["amd"]), image("1-amd", id="amd")])
    assert left_going(shape, {"amd"})[0] == set()


def test_a_tagged_child_goes_when_every_index_that_names_it_goes() -> None:
    shape = Shape([index("1", children=["amd"]), index("2", children=["amd"]), image("a", id="amd")])
    assert left_going(shape, {"1", "amd"})[0] == {"1"}
    assert left_going(shape, {"1", "2", "amd"})[0] == {"1", "2", "amd"}


def test_a_tagged_referrer_stays_while_its_subject_stays() -> None:
    shape = Shape([image("1"), signature("1", "sbom", id="sbom")])
    assert left_going(shape, {"sbom"})[0] == set()
    assert left_going(shape, {"1", "sbom"})[0] == {"1", "sbom"}


def test_what_is_held_holds_in_turn() -> None:
    outer, inner = index("1", children=["inner"]), index("2", id="inner", children=["amd"])
    shape = Shape([outer, inner, image("a", id="amd")])
    assert left_going(shape, {"inner", "amd"})[0] == set()


def test_a_tagged_child_of_an_untagged_index_goes_with_what_that_hangs_on() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([outer, inner, image("a", id="amd")])
    assert left_going(shape, {"1", "amd"}) == ({"1", "amd"}, set(), {"inner"}, set())


def test_an_index_that_goes_along_no_more_holds_its_tagged_child_again() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([outer, inner, image("a", id="amd")])
    assert left_going(shape, {"1", "amd"}, staying={"inner"})[0] == {"1"}


def test_an_index_that_moves_to_the_archive_holds_what_is_to_be_deleted() -> None:
    shape = Shape([index("1", children=["amd"]), image("a", id="amd")])
    assert left_going(shape, {"amd"}, {"1"}) == (set(), {"1"}, set(), set())


def test_what_moves_along_with_an_index_may_move() -> None:
    shape = Shape([index("1", children=["amd", "arm"]), image("a", id="amd"), image(id="arm")])
    assert left_going(shape, (), {"1", "amd"}) == (set(), {"1", "amd"}, set(), {"arm"})


def test_an_index_that_is_deleted_lets_its_tagged_child_move_to_the_archive() -> None:
    shape = Shape([index("1", children=["amd"]), image("a", id="amd")])
    assert left_going(shape, {"1"}, {"amd"}) == ({"1"}, {"amd"}, set(), set())


def test_a_tagged_child_does_not_move_while_an_index_that_names_it_stays() -> None:
    shape = Shape([index("1", children=["amd"]), index("2", children=["amd"]), image("a", id="amd")])
    assert left_going(shape, (), {"1", "amd"}) == (set(), {"1"}, set(), set())


def test_a_tagged_child_of_an_index_that_moves_along_may_move() -> None:
    outer, inner = index("1", children=["inner"]), index(id="inner", children=["amd"])
    shape = Shape([outer, inner, image("a", id="amd")])
    assert left_going(shape, (), {"1", "amd"}) == (set(), {"1", "amd"}, set(), {"inner"})


def test_a_platform_of_one_deleted_and_one_archived_index_moves() -> None:
    shape = Shape([index("1", children=["amd"]), index("2", children=["amd"]), image(id="amd")])
    assert left_going(shape, {"1"}, {"2"}) == ({"1"}, {"2"}, set(), {"amd"})
