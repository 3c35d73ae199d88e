"""Worlds that are written down: what is said of an image is true of it, the rest is guessed sensibly."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from janitor.core.image import ImageType
from tests.instant import NOW
from tests.simulators.truth import Held
from tests.simulators.world import World
from tests.simulators.worldfile import Unreadable, read_world, sample


def read(folder: Path, text: str) -> World:
    file = folder / "world.yaml"
    file.write_text(text)
    world = World()
    read_world(file, world)
    return world


def only(world: World, tag: str) -> Held:
    place = world["a"]
    return place.manifests[place.tags[tag]]


def ago(days: int) -> timedelta:
    return timedelta(days=days)


def test_pushed_and_created_stand_for_one_another_where_one_is_said(tmp_path: Path) -> None:
    world = read(
        tmp_path,
        "repositories: {a: [{tags: [p], pushed: 20d}, {tags: [c], created: 9d},"
        " {tags: [b], pushed: 3d, created: 9d}, {tags: [none]}]}",
    )
    times = {tag: (only(world, tag).pushed_at, only(world, tag).created_at) for tag in "pcb"}
    twenty, nine = NOW - ago(20), NOW - ago(9)
    assert times == {"p": (twenty, twenty), "c": (nine, nine), "b": (NOW - ago(3), nine)}
    assert only(world, "none").pushed_at == NOW - ago(100)
    assert world["a"].tagged_at["b"] == NOW - ago(3)


def test_an_image_was_never_pulled_unless_it_says_when(tmp_path: Path) -> None:
    text = "repositories: {a: [{tags: [x], pulled: 3d}, {tags: [y], pulled: never}, {tags: [z]}]}"
    world = read(tmp_path, text)
    assert [only(world, tag).pulled_at for tag in "xyz"] == [NOW - ago(3), None, None]


def test_what_belongs_to_others_is_as_old_as_they_are(tmp_path: Path) -> None:
    world = read(
        tmp_path,
        "repositories: {a: [{id: x, pushed: 9d}, {id: y, pushed: 7d}, {tags: [i], children: [x, y],"
        " provenance: true}, {subject: i}, {signs: i}]}",
    )
    found = {(held.type, held.pushed_at) for held in world["a"].manifests.values()}
    week = NOW - ago(7)
    assert {moment for type_, moment in found if type_ is not ImageType.IMAGE} == {week}
    assert (ImageType.ATTESTATION, week) in found


def test_images_are_locked_and_archived_as_it_says(tmp_path: Path) -> None:
    world = read(
        tmp_path,
        "repositories: {a: [{tags: [l], locked: true}, {tags: [o, p], archived: 90d, locked: false}]}",
    )
    assert world["a"].locked == {world["a"].tags["l"]}
    assert world["a"].archived == {world["a"].tags["o"]: NOW - ago(90)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "repositories"),
        ("repositories: {a: [{children: [x]}]}", "a, image 1: 'x'"),
        ("repositories: {a: [{}, {tag: [x]}]}", "a, image 2: .*tag"),
        ("repositories: {a: [{pushed: soon}]}", "a, image 1: .*soon"),
    ],
)
def test_what_is_no_world_is_refused_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(tmp_path, text)


def test_nothing_of_the_sample_came_before_there_were_containers() -> None:
    world = World()
    sample(world)
    pushed = [held.pushed_at for place in world.repositories.values() for held in place.manifests.values()]
    assert all(moment and NOW - ago(365) < moment <= NOW for moment in pushed)


def test_time_goes_on_in_a_world_that_follows_a_clock() -> None:
    world, clock = World(), iter([NOW, NOW + ago(1)])
    world.follow(lambda: next(clock))
    assert [world.now, world.now] == [NOW, NOW + ago(1)]
