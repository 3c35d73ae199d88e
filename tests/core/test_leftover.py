"""What an earlier run left behind goes, unless something keeps it by now."""

from __future__ import annotations

from msgspec import UNSET

from janitor.core.decision import Decisions
from janitor.core.draft import assemble
from janitor.core.image import Image
from janitor.core.leftover import Leftover
from janitor.core.policy import Rule
from janitor.core.use import InUse
from tests.core.arrangement import decide as decided
from tests.core.arrangement import deleted
from tests.factories import cosign, delete, digest, image, in_use, index, keep, name_of, protect, signature

ROOT = digest("gone")
NONE = delete(name="none", tags="nothing-is-called-so")


def decide(*images: Image, left: str, rule: Rule = NONE, use: InUse | None = None) -> Decisions:
    """Decide with a rule that takes nothing here, unless another is given, and a grace of a day."""
    leftovers = {digest(name): Leftover(root=ROOT, rules=("p/r",)) for name in left.split()}
    return decided(rule, *images, in_use=use, grace="1d", leftovers=leftovers, protect=protect(latest=False))


def going(decisions: Decisions) -> set[str]:
    return {name_of(decisions.facts.images[i].digest) for i in decisions.left}


def test_what_nothing_holds_any_more_goes_with_its_reason() -> None:
    decisions = decide(image(id="amd"), image("1"), left="amd")
    assert going(decisions) == {"amd"}
    (action,) = assemble(decisions).actions
    assert (action.action, action.rules) == ("delete", ("p/r",))
    assert action.reason.startswith(f"was left behind when {ROOT[:19]}")


def test_what_is_not_there_any_more_is_no_trouble() -> None:
    assert going(decide(image("1"), left="amd")) == set()


def test_what_was_left_behind_counts_for_no_limit() -> None:
    tally = assemble(decide(image(id="amd"), image("1"), left="amd")).tally
    assert (tally.going, tally.planned) == (0, True)


def test_a_tag_keeps_it() -> None:
    assert going(decide(image("new", id="amd"), left="amd")) == set()


def test_an_index_that_names_it_keeps_it() -> None:
    assert going(decide(image(id="amd"), index("new", children=["amd"]), left="amd")) == set()


def test_a_protection_and_use_keep_it() -> None:
    used = in_use(f"prod.example/team/app@{digest('amd')}")
    assert going(decide(image(id="amd"), left="amd", use=used)) == set()
    assert going(decide(image(id="amd", locked=True), left="amd")) == set()


def test_no_rule_keeps_it_as_none_would_have_when_it_was_to_go_along() -> None:
    rule = keep(untagged=True, newer_than="9y")
    assert going(decide(image(id="amd"), left="amd", rule=rule)) == {"amd"}


def test_what_arrived_within_the_grace_stays() -> None:
    assert going(decide(image(id="amd", pushed="1h"), left="amd")) == set()


def test_an_index_whose_children_are_unknown_keeps_everything() -> None:
    unread = image("2", type="index", children=UNSET)
    assert going(decide(image(id="amd"), unread, left="amd")) == set()


def test_what_is_left_of_a_nested_index_goes_whole_and_nothing_that_another_holds() -> None:
    images = [
        image(id="amd"),
        image(id="shared"),
        index(id="inner", children=["amd", "shared"]),
        index("other", children=["shared"]),
    ]
    assert going(decide(*images, left="inner amd shared")) == {"inner", "amd"}


def test_a_signature_by_tag_is_left_behind_like_any_other() -> None:
    images = [cosign("gone", id="sig"), image("1"), signature(subject="1", id="of-1")]
    assert going(decide(*images, left="sig")) == {"sig"}


def test_a_signature_by_tag_with_a_tag_of_its_own_stays() -> None:
    scheme = f"{digest('gone').replace(':', '-')}.sig"
    images = [image(scheme, "mine", id="sig"), image("1"), signature(subject="1", id="of-1")]
    assert going(decide(*images, left="sig")) == set()


def test_what_a_rule_takes_anyway_goes_by_the_rule() -> None:
    decisions = decide(image(id="amd", pushed="9d"), left="amd", rule=delete(untagged=True))
    assert deleted(decisions) == {"amd"}
    assert going(decisions) == set()
