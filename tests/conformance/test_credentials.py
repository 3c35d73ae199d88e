"""Credentials go to the registry that they are of, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from janitor.errors import Denied
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on
from tests.conformance.oci_stage import SimulatedOci
from tests.conformance.stages import StageOf
from tests.conformance.test_listing import wrong
from tests.conformance.worlds import small
from tests.simulators.server import Foreign


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with Foreign() as server:
        yield server


@on(tokens=True)
def test_a_token_server_elsewhere_without_tls_gets_no_password(harness: Harness, stage_of: StageOf) -> None:
    """It is refused for what it is, not because its name doesn't resolve here."""
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    guard = stage.server.guard
    guard.access = msgspec.structs.replace(guard.access, realm="http://tokens.invalid/token")
    with pytest.raises(Denied):
        stage.listing()


@on(tokens=True)
@pytest.mark.parametrize("place", ["/_catalog", "/tags/list", "/manifests/", "/blobs/", "/referrers/"])
def test_a_host_that_requests_are_sent_to_gets_no_token(
    harness: Harness, stage_of: StageOf, foreign: Foreign, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    stage.server.foreign = foreign.address
    stage.world.fault("redirect", times=1_000_000, match=place)
    stage.listing_where_it_can()
    assert foreign.credentials == []


@on(tokens=True)
@pytest.mark.parametrize("place", ["GET /v2/a/manifests/", "/blobs/"])
def test_content_from_another_host_is_of_its_digest_or_nothing(
    harness: Harness, stage_of: StageOf, foreign: Foreign, place: str
) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    stage.server.foreign = foreign.address
    stage.world.fault("redirect", times=1_000_000, match=place)
    listed, _ = stage.listing_where_it_can()
    faults = {name: wrong(harness, stage.world, name, images) for name, images in listed.items()}
    assert not any(faults.values()), faults


@on(tokens=True)
def test_a_deletion_is_never_sent_elsewhere(harness: Harness, stage_of: StageOf, foreign: Foreign) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    images = stage.images(harness.a, [stage.world[harness.a].tags["1"]])
    held = stage.held(harness.a)
    stage.server.foreign = foreign.address
    stage.world.fault("redirect", times=1_000_000, match="DELETE")
    list(stage.registry.delete(harness.a, images))
    assert foreign.requests == []
    assert stage.held(harness.a) == held


@on(tokens=True)
def test_tokens_that_are_forgotten_are_asked_for_again(harness: Harness, stage_of: StageOf) -> None:
    stage = stage_of(harness, small(harness))
    assert isinstance(stage, SimulatedOci)
    first = stage.listing()
    stage.server.guard.revoke()
    assert stage.listing() == first
