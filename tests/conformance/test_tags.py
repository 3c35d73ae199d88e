"""Tags are read as they are now, and taken off one by one."""

from __future__ import annotations

from itertools import product

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on, struck
from tests.conformance.stages import Memory, StageOf
from tests.conformance.worlds import everything, small
from tests.factories import image


@on(deletes=True)
def test_the_tags_of_each_image_are_those_that_are_there(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, everything(harness))
    images = stage.listing()[harness.app]
    place = stage.world[harness.app]
    now = stage.registry.tags_now(harness.app, images)
    assert now == {each.digest: place.tags_of(each.digest) for each in images}


@on(deletes=True)
def test_an_image_that_is_not_there_has_no_tags_and_is_told_apart(
    harness: Harness, stage_of: StageOf
) -> None:
    stage = stage_of(harness, small(harness))
    there, gone = stage.images(harness.a, [stage.world[harness.a].tags[tag] for tag in ("1", "2")])
    list(stage.registry.delete(harness.a, [gone]))
    never = image(id="never")
    now = stage.registry.tags_now(harness.a, [there, gone, never])
    # What the registry has yet to collect is there, and has no tag.
    lost: frozenset[str] | None = frozenset() if harness.collects else None
    assert now == {there.digest: frozenset({"1"}), gone.digest: lost, never.digest: None}


@on(faults=True, deletes=True)
def test_tags_come_from_the_registry_and_not_from_memory(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness), Memory())
    place = stage.world[harness.a]
    first, second = stage.images(harness.a, [place.tags["1"], place.tags["2"]])
    stage.registry.tags_now(harness.a, [first, second])
    stage.world.retag(harness.a, "2", first.digest)
    stage.world.retag(harness.a, "new", first.digest)
    now = stage.registry.tags_now(harness.a, [first, second])
    assert now[first.digest] == frozenset({"1", "2", "new"})
    # Without a tag it may be there still, or be out of sight; never has it a tag that moved.
    assert now[second.digest] in (frozenset(), None)


@struck("kind, place", lambda faults: product(faults.tag_kinds, [faults.tags]), deletes=True)
def test_tags_that_can_not_be_read_are_an_error(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    stage.world.fault(kind, times=10_000, match=place)
    with pytest.raises(RegistryError):
        stage.registry.tags_now(harness.a, images)


@on(untags=True)
def test_a_tag_is_taken_off_and_the_image_stays_with_the_others(harness: Harness, stage_of: StageOf) -> None:
    world = small(harness)
    digest = world[harness.a].tags["1"]
    for tag in ("one", "uno"):
        world.retag(harness.a, tag, digest)
    stage = stage_of(harness, world)
    held, tags = stage.held(harness.a), dict(stage.tags(harness.a))
    (target,) = stage.images(harness.a, [digest])
    result = stage.registry.untag(harness.a, target, ["one", "uno"])
    assert (result.digest, result.outcome) == (digest, OutcomeKind.UNTAGGED)
    assert stage.held(harness.a) == held
    assert stage.tags(harness.a) == {tag: named for tag, named in tags.items() if tag not in {"one", "uno"}}


@on(untags=True)
def test_a_tag_that_is_off_already_is_no_failure(harness: Harness, stage_of: StageOf) -> None:
    world = small(harness)
    digest = world[harness.a].tags["1"]
    world.retag(harness.a, "one", digest)
    stage = stage_of(harness, world)
    (target,) = stage.images(harness.a, [digest])
    for _ in range(2):
        assert stage.registry.untag(harness.a, target, ["one"]).outcome is OutcomeKind.UNTAGGED
    assert stage.tags(harness.a)["1"] == digest


@on(untags=True, faults=True)
def test_a_tag_that_moved_meanwhile_is_not_taken_off_another_image(
    harness: Harness, stage_of: StageOf
) -> None:
    world = small(harness)
    first, second = world[harness.a].tags["1"], world[harness.a].tags["2"]
    world.retag(harness.a, "moving", first)
    stage = stage_of(harness, world)
    (target,) = stage.images(harness.a, [first])
    world.retag(harness.a, "moving", second)
    stage.registry.untag(harness.a, target, ["moving"])
    assert stage.tags(harness.a)["moving"] == second


@on(untags=False, deletes=True)
def test_what_can_not_untag_says_so_and_loses_nothing(harness: Harness, stage_of: StageOf) -> None:
    world = small(harness)
    digest = world[harness.a].tags["1"]
    world.retag(harness.a, "one", digest)
    stage = stage_of(harness, world)
    held, tags = stage.held(harness.a), dict(stage.tags(harness.a))
    (target,) = stage.images(harness.a, [digest])
    with pytest.raises(RegistryError):
        stage.registry.untag(harness.a, target, ["one"])
    assert (stage.held(harness.a), dict(stage.tags(harness.a))) == (held, tags)
