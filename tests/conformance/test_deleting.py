"""What is asked is gone; nothing else is."""

from __future__ import annotations

import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from janitor.providers.interface import Result
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on
from tests.conformance.stages import Stage, StageOf
from tests.conformance.worlds import platforms, small
from tests.factories import image
from tests.simulators.world import World


def delete(stage: Stage, repository: str, images: list[Image]) -> dict[str, Result]:
    """One Result an image, always."""
    results = list(stage.registry.delete(repository, images))
    assert sorted(result.digest for result in results) == sorted(each.digest for each in images)
    return {result.digest: result for result in results}


def all_deleted(harness: Harness, results: dict[str, Result]) -> bool:
    """Where the registry collects what has no tag, it may refuse that to others."""
    good = {OutcomeKind.DELETED, OutcomeKind.REFUSED} if harness.collects else {OutcomeKind.DELETED}
    return {result.outcome for result in results.values()} <= good


def rest(stage: Stage, *gone: str) -> dict[str, frozenset[str]]:
    """What is held by every repository but for these digests."""
    return {name: stage.held(name) - set(gone) for name in stage.world.repositories}


@on(deletes=True)
def test_only_the_image_that_was_asked_for_is_gone(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    digest = stage.world[harness.a].tags["1"]
    tags = {tag: named for tag, named in stage.tags(harness.a).items() if named != digest}
    stays = rest(stage, digest)
    assert all_deleted(harness, delete(stage, harness.a, stage.images(harness.a, [digest])))
    assert rest(stage) == stays
    assert stage.tags(harness.a) == tags


@on(deletes=True)
def test_an_image_goes_with_all_of_its_tags(harness: Harness, stage_of: StageOf) -> None:
    world = small(harness)
    digest = world[harness.a].tags["1"]
    world.retag(harness.a, "again", digest)
    stage = stage_of(harness, world)
    assert all_deleted(harness, delete(stage, harness.a, stage.images(harness.a, [digest])))
    assert {"1", "again"}.isdisjoint(stage.tags(harness.a))


@on(deletes=True)
def test_a_digest_that_another_repository_holds_stays_there(harness: Harness, stage_of: StageOf) -> None:
    world = World()
    digests = {world.push(name, tags=["1"], text="same") for name in (harness.a, harness.b)}
    for name in (harness.a, harness.b):
        world.push(name, tags=["2"])
    (digest,) = digests
    stage = stage_of(harness, world)
    assert all_deleted(harness, delete(stage, harness.a, stage.images(harness.a, [digest])))
    assert digest not in stage.held(harness.a)
    assert digest in stage.held(harness.b)
    assert stage.tags(harness.b)["1"] == digest


@on(deletes=True)
@pytest.mark.parametrize("order", [1, -1], ids=["from-first", "from-last"])
def test_an_index_goes_with_its_children_and_its_referrers_in_whatever_order_they_are_given(
    harness: Harness, stage_of: StageOf, order: int
) -> None:
    world = World()
    children = platforms(world, harness.a)
    index = world.push_index(harness.a, children=children, tags=["1"])
    holder = world.push_index(harness.a, children=[index], tags=["nested"])
    referrer = world.refer(harness.a, holder, fallback=not harness.referrers)
    world.push(harness.a, tags=["2"])
    stage = stage_of(harness, world)
    gone = [*children, index, holder, referrer][::order]
    # Where clients keep the list of referrers, it goes with its subject: it is a tag as any other.
    gone += [named for tag, named in world[harness.a].tags.items() if tag.startswith("sha256-")]
    stays = rest(stage, *gone)
    assert all_deleted(harness, delete(stage, harness.a, stage.images(harness.a, gone)))
    assert rest(stage) == stays
    assert set(stage.tags(harness.a)) == {"2"}


@on(deletes=True)
def test_platforms_that_another_index_names_stay(harness: Harness, stage_of: StageOf) -> None:
    world = World()
    children = platforms(world, harness.a)
    first = world.push_index(harness.a, children=children, tags=["1"], created="1d")
    second = world.push_index(harness.a, children=children, tags=["2"], created="2d")
    stage = stage_of(harness, world)
    assert all_deleted(harness, delete(stage, harness.a, stage.images(harness.a, [first])))
    assert stage.held(harness.a) == {second, *children}


@on(deletes=True)
def test_what_is_gone_already_is_deleted_and_says_so(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    assert all_deleted(harness, delete(stage, harness.a, images))
    stays = rest(stage)
    results = delete(stage, harness.a, images)
    assert all_deleted(harness, results)
    assert all(result.detail for result in results.values())
    assert rest(stage) == stays


@on(deletes=True)
def test_what_never_was_there_does_not_keep_the_rest_from_going(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    digest = stage.world[harness.a].tags["2"]
    results = delete(stage, harness.a, [image(id="never"), *stage.images(harness.a, [digest])])
    assert all_deleted(harness, results)
    assert digest not in stage.held(harness.a)


@on(deletes=True)
def test_asking_for_nothing_does_nothing(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    stays = rest(stage)
    assert list(stage.registry.delete(harness.a, [])) == []
    assert rest(stage) == stays


@on(deletes=True)
def test_what_was_deleted_is_listed_no_more(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    listed = stage.listing()[harness.a]
    digest = stage.world[harness.a].tags["1"]
    delete(stage, harness.a, stage.images(harness.a, [digest]))
    assert {each.digest for each in stage.listing()[harness.a]} == {each.digest for each in listed} - {digest}


@on(deletes=False)
def test_what_can_not_delete_says_so_and_loses_nothing(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    stays = rest(stage)
    try:
        outcomes = {result.outcome for result in stage.registry.delete(harness.a, images)}
    except RegistryError:
        outcomes = {OutcomeKind.FAILED}
    assert outcomes <= {OutcomeKind.FAILED, OutcomeKind.REFUSED}
    assert rest(stage) == stays
