"""What the language promises of every plan, held by the program on its own road from text to plan.

Promises on what may go are of the plan before the limits: there, floor and brakes are set so that they say
nothing, and a repository that use has closed still has its lines.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws import road
from tests.laws.repository import Repository
from tests.laws.rules import Place
from tests.laws.verdicts import Source
from tests.laws.worlds import World, rules, worlds

Gone = dict[tuple[Place, str], str]


def gone(world: World) -> Gone:
    """What is deleted or archived: (place, digest) -> which of both."""
    return {
        (place, digest): kind
        for place, planned in road.plan(world).items()
        for kind, digest, _ in planned.actions
        if kind != "untag"
    }


def deletes_no_more(less: Gone, more: Gone) -> None:
    """Whatever the one takes, the other takes too, and what the one deletes, the other doesn't just move."""
    for image, kind in less.items():
        assert more.get(image) in {kind, "delete"}, image


def with_rule(world: World, rule: dict[str, Any]) -> World:
    """The world with one rule more, at the end of the first policy."""
    files = copy.deepcopy(world.files)
    files[0]["policies"][0]["rules"].append(rule)
    return dataclasses.replace(world, files=files)


@given(worlds(limits=False), rules("keep"))
def test_one_more_keep_rule_never_deletes_more(world: World, rule: dict[str, Any]) -> None:
    deletes_no_more(gone(with_rule(world, rule)), gone(world))


@given(worlds(limits=False, without=["archive"]), rules("delete", without=["archive"]))
def test_one_more_delete_rule_never_deletes_less(world: World, rule: dict[str, Any]) -> None:
    """Without the archive, where more that would go can hold more.

    A child that would be deleted stays where its index only moves.
    """
    deletes_no_more(gone(world), gone(with_rule(world, rule)))


@given(worlds(limits=False), st.data())
def test_one_more_protection_never_deletes_more(world: World, data: st.DataObject) -> None:
    files, lines, sources = copy.deepcopy(world.files), copy.deepcopy(world.lines), list(world.sources)
    line = data.draw(st.sampled_from(lines))
    reference = f"r.example/{line['repository']}@{line['digest']}"
    kind = data.draw(st.sampled_from(["lock", "image", "tags", "use"]))
    if kind == "lock":
        line["locked"] = True
    elif kind == "image":
        files[0].setdefault("protect", {}).setdefault("images", []).append(reference)
    elif kind == "tags":
        # A list is judged by itself, so that one more list is one more file.
        files.append({"version": 1, "protect": {"tags": ["semver:*", "main-*"]}})
    else:
        sources.append(Source(references=(reference,)))
    deletes_no_more(gone(World(files, lines, sources, world.now)), gone(world))


@given(worlds(), st.randoms(use_true_random=False))
def test_order_changes_nothing(world: World, random: Any) -> None:
    files, sources = copy.deepcopy(world.files), list(world.sources)
    places: dict[Place, list[dict[str, Any]]] = {}
    for line in world.lines:
        places.setdefault((line["registry"], line["repository"]), []).append(line)
    groups = list(places.values())
    for shuffled in (files, sources, groups, *groups):
        random.shuffle(shuffled)
    for file in files:
        random.shuffle(file["policies"])
        for policy in file["policies"]:
            random.shuffle(policy["rules"])
    permuted = World(files, [line for group in groups for line in group], sources, world.now)
    assert road.plan(permuted) == road.plan(world)


@given(worlds(limits=False, without=["untag"], plain=True))
def test_planning_again_after_applying_plans_nothing(world: World) -> None:
    done = gone(world)
    lines = []
    for line in world.lines:
        kind = done.get(((line["registry"], line["repository"]), line["digest"]))
        if kind == "archive":
            lines.append({**line, "archived_at": world.now.isoformat()})
        elif kind is None:
            lines.append(line)
    assert gone(dataclasses.replace(world, lines=lines)) == {}


@given(worlds(limits=False))
def test_nothing_locked_named_or_in_use_is_deleted(world: World) -> None:
    done = gone(world)
    named = [text for source in world.sources for text in source.references]
    for file in world.files:
        named += file.get("protect", {}).get("images", [])
    for place, digest in done:
        (line,) = [each for each in world.lines if place_of(each) == place and each["digest"] == digest]
        assert not line.get("locked")
        host = {"prod": "r.example", "mirror": "mirror.example:5000/acme"}[place[0]]
        names = {f"{host}/{place[1]}:{tag}" for tag in line["tags"]}
        if "latest" in line["tags"]:
            names.add(f"{host}/{place[1]}")
        for text in named:
            name, _, named_digest = text.partition("@")
            assert named_digest != digest
            # A digest without a tag says nothing of latest.
            assert name not in names or (named_digest and ":" not in name.rpartition("/")[2])


@given(worlds(limits=False))
def test_latest_and_protected_tags_stay(world: World) -> None:
    done = gone(world)
    lists = [file.get("protect", {}).get("tags", []) for file in world.files]
    for line in world.lines:
        if (place_of(line), line["digest"]) not in done:
            continue
        assert "latest" not in line["tags"] or any("!latest" in patterns for patterns in lists)
        assert "stable" not in line["tags"] or ["stable"] not in lists


@given(worlds())
def test_nothing_goes_before_what_holds_it(world: World) -> None:
    """Neither a tagged image while an index that names it stays, nor its platforms, nor what is signed."""
    for place, planned in road.plan(world).items():
        deleted = {digest for kind, digest, _ in planned.actions if kind == "delete"}
        repository = Repository([line for line in world.lines if place_of(line) == place], world.now)
        for digest in deleted:
            assert repository.holders(digest) <= deleted
            assert repository.present_subjects(digest) <= deleted


@given(worlds(limits=False))
def test_nothing_of_an_unread_registry_is_touched(world: World) -> None:
    """The lines of a repository must stand together: else the registry can't be read, and others can."""
    first = world.lines[0]
    again = {**first, "digest": f"sha256:{999:064x}", "tags": []}
    between = {**first, "repository": "between", "digest": f"sha256:{998:064x}", "tags": []}
    torn = dataclasses.replace(world, lines=[*world.lines, between, again])
    found = road.plan(torn, broken={first["registry"]})
    assert all(not planned.actions for place, planned in found.items() if place[0] == first["registry"])
    # What a source names in the unread registry may be all that it names: that closes more, never less.
    whole = road.plan(world)
    for place, planned in found.items():
        if place[0] != first["registry"]:
            assert planned.actions == whole[place].actions


def place_of(line: dict[str, Any]) -> Place:
    return line["registry"], line["repository"]
