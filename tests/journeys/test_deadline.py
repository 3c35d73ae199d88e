"""A run that is short of time does what it can, and the next goes on where it ended."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from tests.journeys.site import Ran, Site
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

DELETED, SKIPPED = OutcomeKind.DELETED, OutcomeKind.SKIPPED
NAMES = tuple(f"team/{letter}" for letter in "abcdefgh")


class Place:
    """A site with eight repositories, each with something to delete."""

    def __init__(self, folder: Path, server: OciServer) -> None:
        self.site = Site(folder)
        self.world = server.world
        self.site.policies({"prod": {"provider": "oci", "endpoint": server.address}})

    def run(self, **settings: Any) -> Ran:
        state = str(self.site.folder / "state")
        return self.site.run(state_dir=state, deadline=timedelta(hours=1), **settings)

    def listing_takes(self, after: str, **time: float) -> None:
        """Time passes when this repository was listed."""
        self.site.watch.after["listing", f"prod/{after}"] = lambda: self.site.clock.advance(**time)

    def deleting_takes(self, after: str, **time: float) -> None:
        self.site.watch.after["deleting", f"prod/{after}"] = lambda: self.site.clock.advance(**time)

    def cleaned(self) -> set[str]:
        return {name for name in NAMES if set(self.world[name].tags) == {"1.0.0"}}


@pytest.fixture
def place(tmp_path: Path) -> Any:
    world = World()
    for name in NAMES:
        world.push(name, tags=["1.0.0"])
        world.push(name, tags=["pr-1"], created="60d")
    with OciServer(world, DISTRIBUTION_2) as server:
        yield Place(tmp_path, server)


def test_in_time_all_is_done(place: Place) -> None:
    assert place.run(delete=True).exit_code == 0
    assert place.cleaned() == set(NAMES)


def test_listing_stops_at_half_of_it_and_what_was_listed_is_done(place: Place) -> None:
    place.listing_takes("team/b", minutes=31)
    done = place.run(delete=True)
    assert done.exit_code == 3
    first = place.cleaned()
    assert {"team/a", "team/b"} <= first < set(NAMES)
    assert done.report.errors == ()


def test_the_next_run_goes_on_after_the_last_one_reached_and_comes_round(place: Place) -> None:
    place.listing_takes("team/b", minutes=31)
    listed = place.run(delete=True).report.repositories
    last = listed[-1].repository
    first = place.cleaned()
    place.listing_takes(NAMES[NAMES.index(last) + 1], minutes=31)
    again = [each.repository for each in place.run(delete=True).report.repositories]
    assert set(again).isdisjoint(first)
    assert place.cleaned() > first
    place.site.clock.advance(days=1)
    assert place.run(delete=True).exit_code == 0
    assert place.cleaned() == set(NAMES)


def test_no_change_is_begun_after_it(place: Place) -> None:
    place.deleting_takes("team/c", minutes=61)
    done = place.run(delete=True)
    assert done.exit_code == 3
    assert place.cleaned() == {"team/a", "team/b", "team/c"}
    assert len(done.digests(SKIPPED)) == 5
    place.deleting_takes("team/e", minutes=61)
    assert place.run(delete=True).exit_code == 3
    assert place.cleaned() == {"team/a", "team/b", "team/c", "team/d", "team/e"}
    assert place.run(delete=True).exit_code == 0
    assert place.cleaned() == set(NAMES)


def test_a_dry_run_that_lists_for_too_long_says_so(place: Place) -> None:
    place.listing_takes("team/a", minutes=31)
    assert place.run().exit_code == 3
    assert place.cleaned() == set()


def test_a_signal_lets_the_next_run_go_on_there_too(place: Place) -> None:
    def interrupt() -> None:
        place.site.stop.signal = 15
        place.site.stop.set()

    place.site.watch.after["deleting", "prod/team/c"] = interrupt
    assert place.run(delete=True).exit_code == 143
    assert place.cleaned() == {"team/a", "team/b", "team/c"}
    place.site.stop = type(place.site.stop)()
    place.deleting_takes("team/d", minutes=61)
    place.run(delete=True)
    assert place.cleaned() == {"team/a", "team/b", "team/c", "team/d"}


def test_a_place_that_can_not_be_written_down_loses_no_report(place: Place) -> None:
    (place.site.folder / "state" / "position").mkdir(parents=True)
    for _ in range(2):
        place.deleting_takes("team/c", minutes=61)
        done = place.run(delete=True)
        assert done.exit_code == 1
        assert [error.registry for error in done.report.errors] == [""]
        assert "position" in done.report.errors[0].message
    assert place.cleaned() == set(NAMES)
