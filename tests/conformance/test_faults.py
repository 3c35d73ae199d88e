"""Whatever goes wrong: a listing is the truth, or it is an error; a deletion deletes nothing else."""

from __future__ import annotations

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from tests.conformance.harnesses import Harness, SimulatedOci, on
from tests.conformance.stages import Stage, StageOf
from tests.conformance.test_listing import wrong
from tests.conformance.worlds import small
from tests.simulators.server import Foreign

FAULTS = ("throttle", "error", "reset", "slow", "cut", "cut-json", "unauthorized")
PAGED = ("repeated-page", "endless-page", "foreign-link")
PLACES = ("/_catalog", "/tags/list", "/manifests/", "/blobs/", "/referrers/")
ALWAYS = 1_000_000


def assert_true_or_error(harness: Harness, stage: Stage) -> list[RegistryError]:
    """No repository is listed otherwise than it is; what isn't listed has its error."""
    listed, errors = stage.listing_where_it_can()
    faults = {name: wrong(harness, stage.world, name, images) for name, images in listed.items()}
    assert not any(faults.values()), faults
    assert errors or set(listed) == set(stage.world.repositories)
    return errors


@on(faults=True)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", FAULTS)
def test_a_passing_fault_costs_nothing_but_time(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    stage.world.fault(kind, after=1, times=1, match=place, retry_after="3")
    assert_true_or_error(harness, stage)


@on(faults=True)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "slow"])
def test_a_lasting_fault_is_an_error_and_never_a_shorter_listing(
    harness: Harness, stage_of: StageOf, kind: str, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    fault = stage.world.fault(kind, times=ALWAYS, match=place)
    errors = assert_true_or_error(harness, stage)
    # Configurations tell times and labels alone: without them an image is undated, not unlisted. And half a
    # page that says that there are no referrers here says it still.
    harmless = place == "/blobs/" or (place == "/referrers/" and not harness.referrers)
    assert errors or not fault.struck or harmless


@on(faults=True)
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("place", ["/_catalog", "/tags/list", "/referrers/"])
@pytest.mark.parametrize("kind", PAGED)
def test_a_page_that_repeats_or_leads_elsewhere_is_an_error(
    harness: Harness, stage_of: StageOf, kind: str, place: str, after: int
) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    fault = stage.world.fault(kind, after=after, times=ALWAYS, match=place)
    with Foreign() as foreign:
        stage.server.foreign = foreign.address
        errors = assert_true_or_error(harness, stage)
        assert errors or not fault.struck or (place == "/referrers/" and not harness.referrers)
        assert foreign.requests == []


@on(faults=True)
def test_a_page_that_ends_early_invents_nothing(harness: Harness, stage_of: StageOf) -> None:
    """Nobody can tell that a Link is missing; what is listed is there, with tags that it has."""
    stage = stage_of(harness, small(harness))
    stage.world.fault("lost-page", times=ALWAYS, match="/(_catalog|tags/list|referrers/)")
    listed, _ = stage.listing_where_it_can()
    for name, images in listed.items():
        place = stage.world[name]
        assert {image.digest for image in images} <= set(place.manifests)
        for image in images:
            assert frozenset(image.tags) <= place.tags_of(image.digest)


@on(faults=True)
def test_a_manifest_that_is_not_its_digest_is_an_error(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    fault = stage.world.fault("wrong-digest", times=ALWAYS, match="GET /v2/a/manifests/")
    listed, errors = stage.listing_where_it_can()
    assert fault.struck
    assert errors
    assert "a" not in listed
    assert {"b", "c"} <= set(listed)


@on(faults=True, deletes=True)
@pytest.mark.parametrize("kind", [*FAULTS, "lost-answer", "gateway"])
def test_a_passing_fault_deletes_nothing_else(harness: Harness, stage_of: StageOf, kind: str) -> None:
    stage = stage_of(harness, small(harness))
    asked = [stage.world["a"].tags[tag] for tag in ("1", "2")]
    images = stage.images("a", asked)
    stays = {name: stage.held(name) - set(asked) for name in stage.world.repositories}
    fault = stage.world.fault(kind, match="DELETE", retry_after="3")
    outcomes = {result.digest: result.outcome for result in stage.registry.delete("a", images)}
    assert fault.struck
    assert set(outcomes) == set(asked)
    assert {name: stage.held(name) - set(asked) for name in stage.world.repositories} == stays
    deleted = {digest for digest, outcome in outcomes.items() if outcome is OutcomeKind.DELETED}
    assert deleted == set(asked)
    assert deleted.isdisjoint(stage.held("a"))


@on(faults=True, deletes=True)
@pytest.mark.parametrize("kind", ["throttle", "error", "reset", "unauthorized"])
def test_a_lasting_fault_is_never_taken_for_a_deletion(
    harness: Harness, stage_of: StageOf, kind: str
) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images("a", [stage.world["a"].tags[tag] for tag in ("1", "2")])
    stays = stage.held("a")
    stage.world.fault(kind, times=ALWAYS, match="DELETE")
    try:
        outcomes = [result.outcome for result in stage.registry.delete("a", images)]
    except RegistryError:
        outcomes = []
    assert OutcomeKind.DELETED not in outcomes
    assert stage.held("a") == stays


@on(faults=True, deletes=True)
def test_too_many_requests_wait_as_long_as_they_are_told(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    images = stage.images("a", [stage.world["a"].tags["1"]])
    stage.world.fault("throttle", match="DELETE", retry_after="7")
    before = sum(stage.time.slept)
    (result,) = stage.registry.delete("a", images)
    assert result.outcome is OutcomeKind.DELETED
    assert sum(stage.time.slept) - before >= 7


@on(faults=True)
def test_a_registry_that_is_down_is_not_asked_for_ever(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    stage.world.fault("error", times=ALWAYS)
    listed, errors = stage.listing_where_it_can()
    assert (listed, bool(errors)) == ({}, True)
    assert len(stage.server.requests) < 100
