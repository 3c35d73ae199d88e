"""Whatever goes wrong: a listing is the truth, or it is an error; a deletion deletes nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from tests.conformance.harness import Faults, Harness
from tests.conformance.harnesses import on, struck
from tests.conformance.stages import Stage, StageOf
from tests.conformance.test_listing import wrong
from tests.conformance.worlds import small
from tests.simulators.server import Foreign

ALWAYS = 1_000_000


def _lasting(faults: Faults) -> list[str]:
    return [kind for kind in faults.kinds if kind != "slow"]


def assert_true_or_error(harness: Harness, stage: Stage) -> list[RegistryError]:
    """No repository is listed otherwise than it is; what isn't listed has its error."""
    listed, errors = stage.listing_where_it_can()
    faults = {name: wrong(harness, stage.world, name, images) for name, images in listed.items()}
    assert not any(faults.values()), faults
    assert errors or set(listed) == set(stage.world.repositories)
    return errors


@struck("kind, place", lambda faults: product(faults.kinds, faults.listing))
def test_a_passing_fault_costs_nothing_but_time(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    stage.world.fault(kind, after=1, times=1, match=place, retry_after="3")
    assert_true_or_error(harness, stage)


@struck("kind, place", lambda faults: product(_lasting(faults), faults.listing))
def test_a_lasting_fault_is_an_error_and_never_a_shorter_listing(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    fault = stage.world.fault(kind, times=ALWAYS, match=place)
    errors = assert_true_or_error(harness, stage)
    assert harness.faults is not None
    assert errors or not fault.struck or place in harness.faults.harmless


@pytest.mark.parametrize("after", [0, 1])
@struck("kind, place", lambda faults: product(faults.page_kinds, faults.pages))
def test_a_page_that_repeats_or_leads_elsewhere_is_an_error(
    harness: Harness, stage_of: StageOf, kind: str, place: str, after: int
) -> None:
    stage = stage_of(harness, small(harness))
    fault = stage.world.fault(kind, after=after, times=ALWAYS, match=place)
    with Foreign() as foreign:
        stage.lead_to(foreign.address)
        errors = assert_true_or_error(harness, stage)
        assert harness.faults is not None
        assert errors or not fault.struck or place in harness.faults.harmless
        assert foreign.requests == []


@struck("place", lambda faults: faults.pages)
def test_a_page_that_ends_early_invents_nothing(harness: Harness, stage_of: StageOf, place: str) -> None:
    """Nobody can tell that more should follow; what is listed is there, with tags that it has."""
    stage = stage_of(harness, small(harness))
    stage.world.fault("lost-page", times=ALWAYS, match=place)
    listed, _ = stage.listing_where_it_can()
    for name, images in listed.items():
        there = stage.world[name]
        assert {image.digest for image in images} <= set(there.manifests)
        for image in images:
            assert frozenset(image.tags) <= there.tags_of(image.digest)


@struck("place", lambda faults: [faults.manifests] if faults.manifests else [])
def test_a_manifest_that_is_not_its_digest_is_an_error(
    harness: Harness, stage_of: StageOf, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    fault = stage.world.fault("wrong-digest", times=ALWAYS, match=place)
    listed, errors = stage.listing_where_it_can()
    assert fault.struck
    assert errors
    assert set(listed) == set(stage.world.repositories) - {harness.a}


@struck(
    "kind, place",
    lambda faults: product((*faults.kinds, *faults.lost_kinds), [faults.deleting]),
    deletes=True,
)
def test_a_passing_fault_deletes_nothing_else(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    asked = [stage.world[harness.a].tags[tag] for tag in ("1", "2")]
    images = stage.images(harness.a, asked)
    stays = {name: stage.held(name) - set(asked) for name in stage.world.repositories}
    fault = stage.world.fault(kind, match=place, retry_after="3")
    outcomes = {result.digest: result.outcome for result in stage.registry.delete(harness.a, images)}
    assert fault.struck
    assert set(outcomes) == set(asked)
    assert {name: stage.held(name) - set(asked) for name in stage.world.repositories} == stays
    deleted = {digest for digest, outcome in outcomes.items() if outcome is OutcomeKind.DELETED}
    assert deleted == set(asked)
    assert deleted.isdisjoint(stage.held(harness.a))


@struck("kind, place", lambda faults: product(faults.undone_kinds, [faults.deleting]), deletes=True)
def test_a_lasting_fault_is_never_taken_for_a_deletion(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags[tag] for tag in ("1", "2")])
    stays = stage.held(harness.a)
    stage.world.fault(kind, times=ALWAYS, match=place)
    try:
        outcomes = [result.outcome for result in stage.registry.delete(harness.a, images)]
    except RegistryError:
        outcomes = []
    assert OutcomeKind.DELETED not in outcomes
    assert stage.held(harness.a) == stays


@struck("place", lambda faults: [faults.deleting] if faults.waits else [], deletes=True)
def test_too_many_requests_wait_as_long_as_they_are_told(
    harness: Harness, stage_of: StageOf, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    stage.world.fault("throttle", match=place, retry_after="7")
    before = sum(stage.time.slept)
    (result,) = stage.registry.delete(harness.a, images)
    assert result.outcome is OutcomeKind.DELETED
    assert sum(stage.time.slept) - before >= 7


@on(faults=True)
def test_a_registry_that_is_down_is_not_asked_for_ever(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    stage.world.fault("error", times=ALWAYS)
    listed, errors = stage.listing_where_it_can()
    assert (listed, bool(errors)) == ({}, True)
    assert 0 < stage.asked() < 100
