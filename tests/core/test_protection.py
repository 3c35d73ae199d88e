"""What protects an image from every rule: tags, named images, use, locks; and who is protected with it."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from janitor.core.decision import Decisions
from janitor.core.image import Image
from janitor.core.policy import Protect
from janitor.core.reference import Reference
from janitor.core.use import InUse
from tests.core.arrangement import decide, deleted, names, place, untagged
from tests.factories import cosign, delete, digest, image, in_use, index, keep, protect, signature

APP = "registry.test/team/app"


def spared(*images: Image, protect: Protect | None = None, in_use: InUse | None = None) -> set[str]:
    """The images that stay though a rule would delete everything."""
    decisions = decide(delete(), *images, protect=protect or Protect(latest=False), in_use=in_use)
    shape = decisions.facts.shape
    return names(shape, range(len(images))) - deleted(decisions)


def why(decisions: Decisions, name: str) -> tuple[str, ...]:
    return decisions.protections.images.get(place(decisions.facts.shape, name), ())


# --- tags


def test_protected_tags_beat_every_rule() -> None:
    assert spared(
        image("stable"), image("prod-1"), image("1"), protect=protect(tags=["stable", "prod-*"])
    ) == {
        "stable",
        "prod-1",
    }


def test_one_protected_tag_protects_the_whole_image() -> None:
    assert spared(image("pr-1", "stable"), protect=protect(tags="stable")) == {"pr-1 stable"}


def test_latest_is_protected_without_being_named() -> None:
    assert spared(image("latest"), image("1"), protect=protect()) == {"latest"}


def test_latest_is_protected_no_more_where_a_list_says_so() -> None:
    assert spared(image("latest"), protect=protect(latest=False)) == set()


def test_each_list_of_protected_tags_is_judged_by_itself() -> None:
    lists = protect(tags=[["prod-*", "!prod-1"], ["prod-1"]])
    assert spared(image("prod-1"), image("prod-2"), protect=lists) == {"prod-1", "prod-2"}


def test_protected_tags_speak_of_no_scheme_tag_whose_subject_is_here() -> None:
    assert spared(image("1"), cosign("1"), protect=protect(tags="sha256-*")) == set()


# --- named images


def test_an_image_is_protected_by_its_tag_under_a_name_of_its_repository() -> None:
    assert spared(image("1"), image("2"), protect=protect(images=f"{APP}:1")) == {"1"}


def test_a_reference_without_tag_and_digest_protects_latest() -> None:
    assert spared(image("latest"), image("1"), protect=protect(images=APP, latest=False)) == {"latest"}


def test_a_tag_of_another_repository_or_host_protects_nothing_here() -> None:
    others = ["registry.test/team/other:1", "elsewhere.test/team/app:1", "registry.test/app:1"]
    assert spared(image("1"), protect=protect(images=others, latest=False)) == set()


def test_a_digest_is_protected_in_every_repository_of_every_registry() -> None:
    other = f"elsewhere.test/other@{digest('1')}"
    assert spared(image("1"), image("2"), protect=protect(images=other)) == {"1"}


def test_a_digest_that_is_not_here_protects_nothing_here() -> None:
    other = f"{APP}@{digest('elsewhere')}"
    assert spared(image("1"), protect=protect(images=other, latest=False), in_use=in_use(other)) == set()


def test_a_reference_with_tag_and_digest_protects_both() -> None:
    both = f"{APP}:1@{digest('old')}"
    assert spared(image("1"), image(id="old"), image("2"), protect=protect(images=both)) == {"1", "old"}


def test_every_name_of_the_registry_counts() -> None:
    decisions = decide(
        delete(),
        image("1"),
        in_use=in_use("mirror.test/x/team/app:1"),
        hosts=("registry.test", "mirror.test/x"),
    )
    assert deleted(decisions) == set()


def test_a_scheme_tag_may_be_named() -> None:
    tag = cosign("1").tags[0]
    decisions = decide(delete(), image("1"), cosign("1", id="sig"), protect=protect(images=f"{APP}:{tag}"))
    assert why(decisions, "sig") == ("protected by policy.yaml:1",)


# --- use


def test_an_image_in_use_stays() -> None:
    assert spared(image("1"), image("2"), image("3"), in_use=in_use(f"{APP}:1", f"{APP}@{digest('3')}")) == {
        "1",
        "3",
    }


def test_a_reference_protects_the_image_that_its_tag_names_now() -> None:
    assert spared(image("2", "main"), image("1"), in_use=in_use(f"{APP}:main")) == {"2 main"}


def test_the_references_that_name_something_are_known() -> None:
    used = in_use(f"{APP}:1", f"{APP}:9", f"elsewhere.test/x@{digest('2')}")
    decisions = decide(delete(), image("1"), image("2"), in_use=used, protect=protect(images=f"{APP}:1"))
    assert decisions.protections.named == {
        Reference.parse(f"{APP}:1"),
        Reference.parse(f"elsewhere.test/x@{digest('2')}"),
    }


def test_a_platform_in_use_is_known_as_named() -> None:
    used = in_use(f"{APP}@{digest('amd')}")
    decisions = decide(delete(), index("1", children=["amd"]), image(id="amd"), in_use=used)
    assert len(decisions.protections.named) == 1


def test_an_image_that_is_only_protected_is_not_in_use() -> None:
    decisions = decide(delete(), image("1"), protect=protect(images=f"{APP}:1"))
    assert decisions.protections.named == frozenset()


# --- locks


def test_a_locked_image_stays() -> None:
    assert spared(image("1", locked=True), image("2")) == {"1"}


def test_a_locked_platform_keeps_its_index() -> None:
    images = [index("1"), image(id="amd", locked=True), image(id="arm")]
    assert spared(*images) == {"1", "amd", "arm"}


# --- who is protected with it


def test_an_index_in_use_protects_all_that_it_holds_and_their_referrers() -> None:
    images = [
        index("1", children=["inner", "arm"]),
        index(id="inner", children=["amd"]),
        image(id="amd"),
        image("1-arm", id="arm"),
        signature("amd"),
        cosign("1", id="sig"),
        signature("sig"),
        image("2"),
    ]
    kept = {"1", "inner", "amd", "arm", "signature of amd", "sig", "signature of sig"}
    assert spared(*images, in_use=in_use(f"{APP}:1")) == kept


def test_a_platform_in_use_protects_every_index_that_holds_it_at_any_depth() -> None:
    images = [
        index("1", children=["inner"]),
        index(id="inner", children=["amd", "arm"]),
        index("2", children=["amd"]),
        image(id="amd"),
        image(id="arm"),
        index("3", children=["s390"]),
        image(id="s390"),
    ]
    assert spared(*images, in_use=in_use(f"{APP}@{digest('amd')}")) == {"1", "inner", "2", "amd", "arm"}


def test_a_platform_that_is_kept_only_so_does_not_protect_further_indexes() -> None:
    images = [
        index("1", children=["amd", "arm"]),
        index("2", children=["arm", "s390"]),
        image(id="amd"),
        image(id="arm"),
        image(id="s390"),
    ]
    assert spared(*images, in_use=in_use(f"{APP}@{digest('amd')}")) == {"1", "amd", "arm"}


def test_a_tagged_platform_of_a_protected_index_stays() -> None:
    images = [index("1", children=["amd"]), image("1-amd", id="amd")]
    assert spared(*images, protect=protect(tags="1")) == {"1", "amd"}


def test_a_protected_tag_of_a_platform_protects_its_index() -> None:
    images = [index("1", children=["amd"]), image("1-amd", id="amd")]
    assert spared(*images, protect=protect(tags="1-amd")) == {"1", "amd"}


def test_an_image_that_is_kept_by_a_rule_protects_no_index() -> None:
    images = [index("1", children=["amd"]), image("1-amd", id="amd")]
    assert deleted(decide([delete(), keep(tags="1-amd")], *images)) == {"1"}


def test_a_protected_referrer_does_not_go_with_its_subject() -> None:
    images = [image("1"), signature("1")]
    assert "signature of 1" in spared(*images, in_use=in_use(f"{APP}@{digest('signature of 1')}"))


# --- what could not be read


def test_an_index_whose_children_are_unknown_is_protected() -> None:
    assert spared(index("1", children=UNSET), image("2")) == {"1"}


def test_an_index_that_holds_one_of_unknown_children_is_protected() -> None:
    images = [index("1", children=["inner"]), index("2", id="inner", children=UNSET), image("3")]
    assert spared(*images) == {"1", "inner"}


def test_beside_an_index_of_unknown_children_untagged_images_stay() -> None:
    assert spared(index("1", children=UNSET), image(id="untagged"), image("2")) == {"1", "untagged"}


# --- reasons


def test_reasons_name_the_tag_and_the_place_of_the_protection() -> None:
    decisions = decide(delete(), image("stable", "latest"), protect=protect(tags="st*"))
    assert why(decisions, "stable latest") == (
        "its tag stable is protected by policy.yaml:1",
        'its tag latest is protected unless a list says "!latest"',
    )


def test_reasons_of_use_name_the_reference_and_the_source() -> None:
    decisions = decide(delete(), image("1"), in_use=in_use(f"{APP}:1"))
    assert why(decisions, "1") == (f"in use as {APP}:1 (file: in-use.txt)",)


def test_every_reason_is_given_once() -> None:
    decisions = decide(
        delete(),
        image("1", locked=True),
        in_use=in_use(f"{APP}:1", f"{APP}:1"),
        protect=protect(images=f"{APP}:1"),
    )
    assert why(decisions, "1") == (
        f"in use as {APP}:1 (file: in-use.txt)",
        "protected by policy.yaml:1",
        "it is locked",
    )


def test_an_index_that_is_protected_itself_says_so_and_not_what_it_holds() -> None:
    decisions = decide(delete(), index("1", children=["amd"], locked=True), image(id="amd", locked=True))
    assert why(decisions, "1") == ("it is locked",)


def test_an_index_says_that_it_holds_what_is_protected() -> None:
    decisions = decide(delete(), index("1", children=["amd"]), image(id="amd", locked=True))
    assert (why(decisions, "1"), why(decisions, "amd")) == (
        ("it holds an image that is protected",),
        ("it is locked",),
    )


@pytest.mark.parametrize(
    "shield",
    [
        {"protect": protect(tags="pr-1")},
        {"in_use": in_use(f"{APP}:pr-1")},
        {"protect": protect(images=f"{APP}:pr-1")},
    ],
)
def test_a_protected_tag_is_never_taken_off(shield: dict[str, object]) -> None:
    rule = delete(tags="pr-*", untag=True)
    decisions = decide(rule, image("pr-1", "pr-2", "1.0"), **shield)  # type: ignore[arg-type]  # one of two words
    assert untagged(decisions) == {"pr-1 pr-2 1.0": ("pr-2",)}
