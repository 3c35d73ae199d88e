"""What went comes back, where the registry can; what was archived is there still."""

from __future__ import annotations

import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from janitor.providers.interface import Keepsake, Result
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on
from tests.conformance.stages import Stage, StageOf
from tests.conformance.worlds import platforms, small
from tests.simulators.world import World


def delete(stage: Stage, repository: str, images: list[Image]) -> list[Keepsake]:
    """Delete them all, and keep what brings them back."""
    keepsakes = stage.registry.keepsakes(repository, images)
    assert {result.outcome for result in stage.registry.delete(repository, images)} == {OutcomeKind.DELETED}
    return [keepsakes[image.digest] for image in images]


def restore(stage: Stage, repository: str, keepsakes: list[Keepsake]) -> dict[str, Result]:
    results = list(stage.registry.restore(repository, keepsakes))
    assert sorted(result.digest for result in results) == sorted(kept.digest for kept in keepsakes)
    return {result.digest: result for result in results}


@on(restores=True, returns_whole=True, deletes=True, collects=False)
def test_an_image_comes_back_with_its_tags(harness: Harness, stage_of: StageOf) -> None:
    world = small(harness)
    digest = world[harness.a].tags["1"]
    world.retag(harness.a, "again", digest)
    stage = stage_of(harness, world)
    held, tags = stage.held(harness.a), dict(stage.tags(harness.a))
    keepsakes = delete(stage, harness.a, stage.images(harness.a, [digest]))
    assert digest not in stage.held(harness.a)
    (result,) = restore(stage, harness.a, keepsakes).values()
    assert result.outcome is OutcomeKind.RESTORED
    assert (stage.held(harness.a), dict(stage.tags(harness.a))) == (held, tags)


@on(restores=True, returns_whole=True, deletes=True, collects=False)
@pytest.mark.parametrize("order", [1, -1], ids=["from-first", "from-last"])
def test_an_index_comes_back_whole_in_whatever_order_it_is_given(
    harness: Harness, stage_of: StageOf, order: int
) -> None:
    world = World()
    children = platforms(world, harness.a)
    index = world.push_index(harness.a, children=children, tags=["1"])
    world.push(harness.a, tags=["2"])
    stage = stage_of(harness, world)
    held, tags = stage.held(harness.a), dict(stage.tags(harness.a))
    keepsakes = delete(stage, harness.a, stage.images(harness.a, [index, *children]))
    results = restore(stage, harness.a, keepsakes[::order])
    assert {result.outcome for result in results.values()} == {OutcomeKind.RESTORED}
    assert (stage.held(harness.a), dict(stage.tags(harness.a))) == (held, tags)


@on(restores=True, returns_whole=True, deletes=True, collects=False, faults=True)
def test_a_tag_that_is_on_another_image_by_now_stays_there(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    first, second = (stage.world[harness.a].tags[tag] for tag in ("1", "2"))
    keepsakes = delete(stage, harness.a, stage.images(harness.a, [first]))
    stage.world.retag(harness.a, "1", second)
    (result,) = restore(stage, harness.a, keepsakes).values()
    assert result.outcome is OutcomeKind.RESTORED
    assert "1" in (result.detail or "")
    assert stage.tags(harness.a)["1"] == second
    assert first in stage.held(harness.a)


@on(restores=False, archives=False)
def test_what_can_not_bring_back_says_so(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    assert stage.registry.keepsakes(harness.a, images) == {}
    with pytest.raises(RegistryError):
        list(stage.registry.restore(harness.a, [Keepsake(digest=images[0].digest)]))


@on(archives=True)
def test_what_is_archived_is_there_still_and_listed_as_archived(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    digest = stage.world[harness.a].tags["1"]
    held = stage.held(harness.a)
    (result,) = stage.registry.archive(harness.a, stage.images(harness.a, [digest]))
    assert result.outcome is OutcomeKind.ARCHIVED
    assert stage.held(harness.a) == held
    archived = {image.digest for image in stage.listing()[harness.a] if image.archived_at is not None}
    assert archived == {digest}


@on(archives=True)
def test_what_was_archived_comes_back(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    list(stage.registry.archive(harness.a, images))
    kept = Keepsake(digest=images[0].digest, tags=images[0].tags)
    (result,) = restore(stage, harness.a, [kept]).values()
    assert result.outcome is OutcomeKind.RESTORED
    assert all(image.archived_at is None for image in stage.listing()[harness.a])


@on(archives=False)
def test_what_has_no_archive_says_so_and_loses_nothing(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    held = stage.held(harness.a)
    with pytest.raises(RegistryError):
        list(stage.registry.archive(harness.a, images))
    assert stage.held(harness.a) == held
