"""Every provider is tried, and says of itself what is true."""

from __future__ import annotations

import pytest

from janitor.providers import PROVIDERS
from tests.conformance.harness import Harness
from tests.conformance.harnesses import HARNESSES, on
from tests.conformance.stages import StageOf
from tests.conformance.worlds import small


def test_every_provider_has_a_harness() -> None:
    assert set(HARNESSES) == set(PROVIDERS)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_provider_is_called_as_its_row_is(name: str) -> None:
    assert PROVIDERS[name].registry.provider == name


@on()
def test_abilities_say_what_can_be_seen_and_done(harness: Harness, stage_of: StageOf) -> None:
    abilities = stage_of(harness, small(harness)).registry.abilities
    assert abilities.lists_untagged is harness.untagged
    if harness.deletes:
        assert abilities.deletes
        assert abilities.untags is harness.untags
        assert abilities.archives is harness.archives
        assert abilities.restores is harness.restores


@on()
def test_nothing_is_asked_before_something_is_wanted(harness: Harness, stage_of: StageOf) -> None:
    traffic = stage_of(harness, small(harness)).registry.traffic()
    assert (traffic.requests.list, traffic.requests.delete, traffic.requests.other) == (0, 0, 0)


@on()
def test_closing_twice_is_closing(harness: Harness, stage_of: StageOf) -> None:
    registry = stage_of(harness, small(harness)).registry
    registry.close()
    registry.close()
