"""What is there is listed, as it is."""

from __future__ import annotations

from janitor.core.image import Image
from janitor.core.pattern import PatternKind, PatternList
from janitor.providers.interface import RepositoryFilter
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on
from tests.conformance.stages import ALL_FIELDS, EVERYTHING, Memory, Stage, StageOf, differences
from tests.conformance.worlds import everything, small
from tests.simulators.world import World


def wrong(harness: Harness, world: World, repository: str, images: tuple[Image, ...]) -> dict[str, object]:
    """Everything in which a listing isn't the truth, by digest; empty: it is the truth."""
    place = world[repository]
    expected = harness.visible(world, repository)
    listed = {image.digest: image for image in images}
    faults: dict[str, object] = dict.fromkeys(expected - set(listed), "not listed")
    faults |= dict.fromkeys(set(listed) - expected, "not there")
    if len(listed) != len(images):
        faults["twice"] = [image.digest for image in images]
    for digest in expected & set(listed):
        if said := differences(listed[digest], place.manifests[digest], place.tags_of(digest), harness.tells):
            faults[digest] = said
    return faults


def assert_true(harness: Harness, stage: Stage, listing: dict[str, tuple[Image, ...]]) -> None:
    """The listing is the whole truth; an emptied repository may be left out."""
    filled = {name for name, place in stage.world.repositories.items() if place.manifests}
    assert filled <= set(listing) <= set(stage.world.repositories)
    faults = {name: wrong(harness, stage.world, name, images) for name, images in listing.items()}
    assert not any(faults.values()), faults


@on()
def test_everything_pushed_is_listed_as_it_is(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, everything(harness))
    assert_true(harness, stage, stage.listing())


@on()
def test_listing_twice_says_the_same_in_the_same_order(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, everything(harness))
    assert stage.listing() == stage.listing()
    assert list(stage.listing()) == list(stage.listing())


@on()
def test_units_are_named_once_in_a_stable_order(harness: Harness, stage_of: StageOf) -> None:
    registry = stage_of(harness, everything(harness)).registry
    units = list(registry.units(EVERYTHING))
    assert len(set(units)) == len(units)
    assert units == list(registry.units(EVERYTHING))


@on()
def test_only_what_is_wanted_is_listed(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    only = RepositoryFilter(covered=(PatternList.of([harness.b], PatternKind.REPOSITORY),))
    listed = [
        listing.repository
        for unit in stage.registry.units(only)
        for listing in stage.registry.list(unit, ALL_FIELDS)
    ]
    assert listed == [harness.b]


@on()
def test_what_costs_a_request_may_be_left_out_but_never_wrong(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, everything(harness))
    for unit in stage.registry.units(EVERYTHING):
        for listing in stage.registry.list(unit, frozenset()):
            place = stage.world[listing.repository]
            assert {image.digest for image in listing.images} == harness.visible(
                stage.world, listing.repository
            )
            for image in listing.images:
                held = place.manifests[image.digest]
                assert frozenset(image.tags) == place.tags_of(image.digest)
                assert image.children == held.children
                assert image.subject == held.subject
                assert image.created_at in {None, held.created_at}
                if "size_bytes" in harness.tells:
                    assert image.size_bytes in {None, held.size_bytes}


@on(remembers=True)
def test_what_was_read_of_a_manifest_is_never_read_again(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, everything(harness), Memory())
    first = stage.listing()
    read = stage.manifest_reads()
    assert stage.listing() == first
    assert stage.manifest_reads() == read


@on(remembers=True)
def test_a_memory_changes_nothing_of_what_is_listed(harness: Harness, stage_of: StageOf) -> None:
    memory = Memory()
    stage_of(harness, everything(harness), memory).listing()
    stage = stage_of(harness, everything(harness), memory)
    assert_true(harness, stage, stage.listing())


@on(remembers=True, faults=True)
def test_what_lost_its_tags_is_remembered_as_long_as_it_is_there(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness), Memory())
    digest = stage.world[harness.a].tags["1"]
    stage.listing()
    stage.world[harness.a].untag("1")
    (image,) = stage.images(harness.a, [digest])
    assert image.tags == ()
    stage.world.forget(harness.a, digest)
    assert digest not in {image.digest for image in stage.listing()[harness.a]}


@on(faults=True)
def test_a_repository_that_vanished_is_an_empty_listing(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    units = list(stage.registry.units(EVERYTHING))
    del stage.world.repositories[harness.b]
    listed = {
        listing.repository: listing.images
        for unit in units
        for listing in stage.registry.list(unit, ALL_FIELDS)
    }
    assert listed.get(harness.b, ()) == ()
    assert listed[harness.a]
