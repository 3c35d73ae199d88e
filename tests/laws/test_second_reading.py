"""The second reading says what the language's description says, on examples made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.instant import NOW
from tests.laws.oracle import Planned, before_limits, judge
from tests.laws.verdicts import Source
from tests.laws.words import duration, group_of, in_range, reference, selects, size, version_key


def name_digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def line(name: str, *tags: str, age: str | None = "400d", **fields: Any) -> dict[str, Any]:
    """An image called so, so old; children and subject are names."""
    children = [name_digest(child) for child in fields.pop("children", ())]
    subject = fields.pop("subject", None)
    return {
        "name": name,
        "registry": "prod",
        "repository": "team/app",
        "digest": name_digest(name),
        "tags": list(tags),
        "type": "index" if children else "image",
        "pushed_at": None if age is None else (NOW - duration(age)).isoformat(),
        "children": children,
        "subject": None if subject is None else name_digest(subject),
        **fields,
    }


def policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "registries": {"prod": {"provider": "inventory", "aliases": ["r.example"]}},
        "policies": [{"name": "p", "registries": "*", "repositories": "**", "rules": list(rules)}],
        **more,
    }


def plan(file: dict[str, Any], *lines: dict[str, Any], sources: Sequence[Source] = ()) -> dict[str, str]:
    """What happens before the limits: name -> action, by the names that the lines were given."""
    (found,) = before_limits([file], lines, sources, NOW).values()
    return _by_first_tag(found, lines)


def limited_plan(
    file: dict[str, Any], *lines: dict[str, Any], sources: Sequence[Source] = ()
) -> tuple[str, dict[str, str]]:
    (found,) = judge([file], lines, sources, NOW).values()
    return found.state, _by_first_tag(found, lines)


def _by_first_tag(found: Planned, lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    names = {each["digest"]: each["tags"][0] if each["tags"] else each["name"] for each in lines}
    return {names[digest]: kind + "".join(f" -{tag}" for tag in tags) for kind, digest, tags in found.actions}


EVERYTHING = {"delete": {"all": True}}


def test_an_image_goes_only_when_every_tag_is_condemned() -> None:
    file = policy({"delete": {"tags": "pr-*"}}, {"delete": {"tags": "tmp"}})
    assert plan(file, line("a", "pr-1", "v1"), line("b", "pr-2", "tmp")) == {"pr-2": "delete"}


def test_keep_beats_delete() -> None:
    file = policy(EVERYTHING, {"keep": {"tags": "v*"}})
    assert plan(file, line("a", "v1", "x"), line("b", "y")) == {"y": "delete"}


def test_latest_stays_unless_a_list_says_otherwise() -> None:
    assert plan(policy(EVERYTHING), line("a", "latest")) == {}
    spoken = policy(EVERYTHING, protect={"tags": "!latest"})
    assert plan(spoken, line("a", "latest")) == {"latest": "delete"}


def test_platforms_go_with_the_last_index_that_names_them() -> None:
    lines = (
        line("one", "one", children=["amd"]),
        line("two", "two", children=["amd"]),
        line("amd"),
    )
    assert plan(policy({"delete": {"tags": "one"}}), *lines) == {"one": "delete"}
    assert plan(policy(EVERYTHING), *lines) == {"one": "delete", "two": "delete", "amd": "delete"}


def test_a_tagged_child_waits_for_its_index() -> None:
    lines = (line("i", "i", children=["c"]), line("c", "c"))
    assert plan(policy({"delete": {"tags": "c"}}), *lines) == {}
    assert plan(policy({"delete": {"tags": "*"}}), *lines) == {"i": "delete", "c": "delete"}


def test_a_signature_goes_with_its_subject_and_an_orphan_by_its_rule() -> None:
    tag = name_digest("gone").replace(":", "-") + ".sig"
    lines = (
        line("a", "a"),
        line("s", subject="a", age="1h"),
        line("o", tag),
    )
    assert plan(policy({"delete": {"tags": "a"}}), *lines) == {"a": "delete", "s": "delete"}
    assert plan(policy({"delete": {"orphaned": True}}), *lines) == {tag: "delete"}
    assert plan(policy({"delete": {"orphaned": True}}), lines[2]) == {}


def test_use_protects_holders_and_all_that_they_hold_but_not_further_indexes() -> None:
    lines = (
        line("one", "one", children=["amd", "arm"]),
        line("two", "two", children=["arm"]),
        line("amd"),
        line("arm"),
    )
    used = [Source(references=("r.example/team/app@" + name_digest("amd"),))]
    assert plan(policy(EVERYTHING), *lines, sources=used) == {"two": "delete"}


def test_a_young_platform_holds_its_index_and_an_undated_one_does_not() -> None:
    held = (line("i", "i", children=["c"]), line("c", age="1h"))
    assert plan(policy(EVERYTHING), *held) == {}
    free = (line("i", "i", children=["c"]), line("c", age=None))
    assert plan(policy(EVERYTHING), *free) == {"i": "delete", "c": "delete"}


def test_an_undated_image_goes_by_undated_rules_alone() -> None:
    lines = (line("a", "a", age=None), line("b", "b"))
    assert plan(policy(EVERYTHING), *lines) == {"b": "delete"}
    assert plan(policy({"delete": {"undated": True}}), *lines) == {"a": "delete"}


def test_ranks_count_groups_and_an_unknown_group_never_deletes() -> None:
    rule = {
        "delete": {
            "tags": ["re:(?P<branch>[a-z]+)-[0-9]+", "x*"],
            "group_by": "branch",
            "beyond_newest": 1,
        }
    }
    lines = (
        line("a", "main-1", age="9d"),
        line("b", "main-2", age="8d"),
        line("c", "dev-1", age="90d"),
        line("d", "xx", age="99d"),
    )
    assert plan(policy(rule), *lines) == {"main-1": "delete"}


def test_the_oldest_stays_while_fewer_periods_than_asked_hold_an_image() -> None:
    lines = [line(str(day), str(day), age=f"{day}d") for day in range(2, 6)]
    rules = ({"keep": {"tags": "*", "one_per": {"year": 9}}}, EVERYTHING)
    assert plan(policy(*rules), *lines) == {"3": "delete", "4": "delete"}


def test_untag_takes_only_what_is_condemned_and_needs_a_tag_to_stay_for() -> None:
    file = policy({"delete": {"tags": "pr-*", "untag": True}})
    assert plan(file, line("a", "v1", "pr-1")) == {"v1": "untag -pr-1"}
    assert plan(file, line("a", "v1", "pr-1", age="1h")) == {}
    assert plan(file, line("a", "v1", "pr-1", locked=True)) == {}


def test_rules_of_both_kinds_delete_only_what_deleting_rules_take_whole() -> None:
    file = policy({"delete": {"tags": "a*"}}, {"delete": {"tags": "*", "archive": True}})
    lines = (line("one", "a1"), line("two", "a2", "b2"))
    assert plan(file, *lines) == {"a1": "delete", "a2": "archive"}


def test_a_floor_keeps_the_newest_that_would_go() -> None:
    lines = (line("a", "a", age="9d"), line("b", "b", age="8d"))
    assert limited_plan(policy(EVERYTHING), *lines) == ("ok", {"a": "delete"})


def test_a_brake_stops_a_repository_of_ten() -> None:
    lines = [line(str(day), str(day), age=f"{day}d") for day in range(2, 12)]
    file = policy({"keep": {"newest": 1}}, EVERYTHING)
    state, found = limited_plan(file, *lines)
    assert (state, len(found)) == ("limited", 9)
    assert limited_plan(file, *lines[:9])[0] == "ok"


def test_a_budget_lets_the_oldest_go_but_no_child_before_its_index() -> None:
    lines = (
        line("i", "i", age="8d", children=["c"]),
        line("c", "c", age="90d"),
        line("x", "x", age="9d"),
    )
    file = policy({"delete": {"tags": "*"}}, limits={"budget": 1, "min_remaining": 0})
    assert limited_plan(file, *lines) == ("ok", {"x": "delete"})


def test_sources_that_name_nothing_of_a_registry_stop_it() -> None:
    lines = (line("a", "a"), line("b", "b"))
    elsewhere = [Source(references=("other.example/x:1",))]
    assert limited_plan(policy(EVERYTHING), *lines, sources=elsewhere)[0] == "limited"
    here = [Source(references=("r.example/unlisted:1",))]
    assert limited_plan(policy(EVERYTHING), *lines, sources=here)[0] == "ok"
    assert limited_plan(policy(EVERYTHING), *lines, sources=[Source()])[0] == "limited"
    assert limited_plan(policy(EVERYTHING), *lines, sources=[Source(allow_empty=True)])[0] == "ok"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("semver:*", "v1.2.3", "1.2.3-rc.1"),
        ("semver:pre", "1.2.3-rc.1", "1.2.3"),
        ("semver:^1.4", "1.9.0", "2.0.0-rc.1"),
        ("semver:^0.2.3", "0.2.9", "0.3.0"),
        ("semver:~1.4.2", "1.4.9", "1.5.0"),
        ("semver:>=1.4.0-0", "1.4.0-rc.1", "1.5.0-rc.1"),
        ("semver:>=1.2.0,<2", "1.9.9", "2.0.0"),
        ("semver:>1.2", "1.3.0", "1.2.9"),
        ("semver:*", "0.0.0", "1.2"),
        ("v[0-9]{a,b}*", "v1b-x", "v1c"),
    ],
)
def test_patterns(pattern: str, yes: str, no: str) -> None:
    assert selects([pattern], yes)
    assert not selects([pattern], no)


def test_words() -> None:
    assert duration("1w2d") == timedelta(days=9)
    assert size("2GiB") == 2 * 2**30
    assert version_key("2026.07.29") is None
    assert in_range("1.2.x", "1.2.7")
    assert group_of(["x*", "re:(?P<b>.+)-[0-9]+"], "x-1", "b") == "x"
    assert reference("nginx") == ("docker.io/library/nginx", "latest", None)
    assert reference("localhost:5000/a:1@sha256:00") == ("localhost:5000/a", "1", "sha256:00")
