"""Why an image stays, in sentences that cite rules with their file and line."""

from __future__ import annotations

from msgspec.structs import replace

from janitor.core.decision import Decisions
from janitor.core.limits import floor
from janitor.core.policy import Where
from janitor.core.story import why_stays
from tests.core.arrangement import decide, place
from tests.factories import delete, image, in_use, index, keep, protect, signature

LINE = Where(file="p.yaml", line=7)


def why(decisions: Decisions, name: str) -> tuple[str, ...]:
    return why_stays(decisions, place(decisions.facts.shape, name))


def test_a_kept_image_cites_the_rule_with_its_file_and_line_and_text() -> None:
    rule = replace(keep(name="releases", tags="1.*", where=LINE), text="keep tags 1.*")
    decisions = decide([delete(), rule], image("1.0"))
    assert why(decisions, "1.0") == ("kept by cleanup/releases (p.yaml:7): keep tags 1.*",)


def test_every_rule_that_keeps_is_cited_once_in_the_order_of_the_files() -> None:
    rules = [keep(name="b", tags="1.*"), keep(name="a", tags="*"), delete()]
    reasons = why(decide(rules, image("1.0", "1.1")), "1.0 1.1")
    assert [reason.split(" (")[0] for reason in reasons] == ["kept by cleanup/b", "kept by cleanup/a"]


def test_protections_come_first() -> None:
    decisions = decide(
        [delete(), keep(tags="1")],
        image("1", locked=True),
        protect=protect(tags="1"),
        in_use=in_use("registry.test/team/app:1"),
    )
    assert [reason.split(" ")[0] for reason in why(decisions, "1")] == ["its", "in", "it", "kept"]


def test_an_image_that_no_rule_selects_says_so_of_each_tag() -> None:
    decisions = decide(delete(tags="pr-*"), image("pr-1", "sha-1", "x"))
    assert why(decisions, "pr-1 sha-1 x") == ("no rule selects tag sha-1", "no rule selects tag x")


def test_an_untagged_image_that_no_rule_selects_says_so() -> None:
    assert why(decide(delete(tags="*"), image(id="a")), "a") == ("no rule selects it",)


def test_an_image_that_no_condition_takes_says_so() -> None:
    decisions = decide(delete(tags="pr-*", older_than="1y"), image("pr-1"))
    assert why(decisions, "pr-1") == ("no delete rule holds for tag pr-1",)


def test_an_image_without_a_usable_time_says_so() -> None:
    decisions = decide(delete(), image("1", pushed=None), image("2"))
    assert why(decisions, "1") == ("no delete rule holds for tag 1: it has no usable time",)


def test_a_young_image_says_so() -> None:
    decisions = decide(delete(), image("1", pushed="1h"), grace="24h")
    assert why(decisions, "1") == ("it, or a platform that would go with it, arrived within the grace",)


def test_an_image_that_something_holds_says_so() -> None:
    decisions = decide(delete(tags="1-amd"), index("1", children=["amd"]), image("1-amd", id="amd"))
    assert why(decisions, "amd") == ("something that stays holds it, or is what it refers to",)


def test_an_image_that_the_floor_spares_says_so() -> None:
    decisions = floor(decide(delete(), image("1")), 1)
    assert why(decisions, "1") == ("min_remaining: so many images stay in a repository",)


def test_what_is_no_candidate_says_what_it_lives_with() -> None:
    images = [index("1", children=["amd"]), image(id="amd"), signature("1")]
    decisions = decide([], *images)
    assert why(decisions, "amd") == ("an index names it: it lives as long as that",)
    assert why(decisions, "signature of 1") == (
        "it refers to an image that is here: it lives as long as that",
    )


def test_a_protected_platform_says_both() -> None:
    decisions = decide([], index("1", children=["amd"]), image(id="amd", locked=True))
    assert why(decisions, "amd") == ("it is locked", "an index names it: it lives as long as that")


def test_an_archived_image_says_that_no_rule_selects_it() -> None:
    assert why(decide(delete(), image("1", archived="9d")), "1") == ("no rule selects tag 1",)


def test_every_image_that_stays_has_a_reason() -> None:
    images = [
        index("1"),
        image(id="amd"),
        image("1-arm", id="arm"),
        signature("1"),
        image("2", pushed="1h"),
        image("pr-1", "3"),
        image("4", pushed=None),
        image(id="lone"),
        signature("gone"),
        image("5", archived="1d"),
        image("6", "7"),
    ]
    rules = [delete(tags=["1-*", "pr-*", "2", "6"]), delete(tags="7", archive=True), keep(tags="3")]
    decisions = decide(rules, *images, grace="24h")
    staying = [i for i in range(len(images)) if decisions.action(i) is None]
    assert staying
    assert all(why_stays(decisions, i) for i in staying)
