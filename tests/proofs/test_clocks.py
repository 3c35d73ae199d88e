"""A clock that is wrong, or is set while a run lasts, deletes nothing young and misjudges no reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from janitor.clock import onward
from janitor.core.report import OutcomeKind
from janitor.undoing import undo
from tests.factories import delete, limits, policy_set, registry_spec
from tests.instant import NOW
from tests.journeys.inprocess import Clock, Journey, WorldRegistry
from tests.journeys.site import Site
from tests.simulators.oci import DISTRIBUTION_3, OciServer
from tests.simulators.server import Request
from tests.simulators.world import World

APP = "team/app"
HOUR = timedelta(hours=1)
DELETED = OutcomeKind.DELETED
EVERYTHING = (
    delete(name="old", older_than="1m"),
    delete(name="undated", undated=True),
)


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_what_was_just_pushed_stays_though_the_clock_is_an_hour_off(off: timedelta) -> None:
    world = World()
    old = world.push(APP, tags=["old"], pushed="40d")
    young = {
        world.push(APP, tags=[f"young-{age}"], created="40d", pushed=age) for age in ("0m", "1h", "22h59m")
    }
    registry = WorldRegistry(world)
    policies = policy_set(
        *EVERYTHING,
        registries=[registry_spec("prod")],
        limits=limits(grace="24h", max_percent=100, min_remaining=0),
    )
    journey = Journey(registry, policies=policies, clock=Clock(NOW + off))
    journey.run()
    journey.close()
    assert registry.deleted == [old]
    assert young == set(world[APP].manifests)


class Watched(OciServer):
    """A registry that tells somebody of each request before it is answered."""

    def __init__(self, world: World) -> None:
        self.heard: Callable[[str], None] = lambda _: None
        super().__init__(world, DISTRIBUTION_3)

    def called(self, request: Request) -> str:
        self.heard(str(request))
        return super().called(request)


@pytest.fixture
def server() -> Iterator[Watched]:
    world = World()
    world.push(APP, tags=["1.0.0"], created="90d")
    with Watched(world) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, server: Watched) -> Site:
    site = Site(tmp_path)
    site.policies({"prod": {"provider": "oci", "endpoint": server.address}})
    return site


def clean(site: Site, at: datetime) -> set[str]:
    """The tags that a run at this time deletes."""
    site.clock.now = at
    return site.run(delete=True, state_dir=str(site.folder / "state")).tags(DELETED)


@pytest.mark.parametrize("offs", [(HOUR, -HOUR), (-HOUR, HOUR), (HOUR, HOUR, -HOUR, -HOUR)])
def test_what_was_seen_by_a_clock_that_was_set_back_counts_as_young(
    site: Site, server: Watched, offs: tuple[timedelta, ...]
) -> None:
    """The tag is placed on an image that was built long ago; only the state folder knows when."""
    for off in offs[:-1]:
        clean(site, NOW + off)
    server.world.push(APP, tags=["pr-1"], created="50d")
    for minutes, off in enumerate(offs):
        assert clean(site, NOW + off + timedelta(minutes=minutes)) == set()
    assert clean(site, NOW + timedelta(days=16)) == {"pr-1"}


def test_what_came_back_by_a_clock_that_was_set_back_counts_as_young(site: Site, server: Watched) -> None:
    server.world.push(APP, tags=["pr-1"], created="50d")
    assert clean(site, NOW + HOUR) == {"pr-1"}
    (run_id,) = [path.name for path in (site.folder / "state" / "runs").iterdir()]
    settings = site.settings(state_dir=str(site.folder / "state"))
    undo(run_id, settings, {}, restore=True, stop=site.stop, clock=site.clock, progress=site.watch)
    assert clean(site, NOW - HOUR) == set()
    assert "pr-1" in server.world[APP].tags


class Unsteady(Clock):
    """A clock that is set back an hour whenever somebody wants it; ``now`` is the true time."""

    def __init__(self) -> None:
        super().__init__()
        self.off = timedelta()

    def __call__(self) -> datetime:
        return self.now + self.off

    def set_back(self) -> None:
        self.off -= HOUR


def test_a_clock_that_is_set_back_goes_on_from_where_it_was() -> None:
    unsteady = Unsteady()
    clock = onward(unsteady)
    unsteady.advance(minutes=1)
    before = clock()
    unsteady.set_back()
    assert clock() == before
    unsteady.advance(minutes=5)
    assert clock() == before + timedelta(minutes=5)
    unsteady.off += 2 * HOUR
    assert clock() > before + HOUR


def test_no_reading_of_tags_grows_old_while_the_clock_is_set_back(site: Site, server: Watched) -> None:
    """Each deletion takes a while, and the clock is set back at each."""
    for number in range(60):
        server.world.push(APP, tags=[f"pr-{number}"], created="50d")
    clock = Unsteady()
    read_at = clock.now
    ages = []

    def asked(request: str) -> None:
        nonlocal read_at
        if "/tags/list" in request:
            read_at = clock.now
        if request.startswith("DELETE "):
            ages.append(clock.now - read_at)
            clock.advance(seconds=1.5)
            clock.set_back()

    server.heard = asked
    site.clock = clock
    ran = site.run(delete=True, state_dir=str(site.folder / "state"), concurrency=1)
    assert len(ran.tags(DELETED)) == 60
    assert max(ages) <= timedelta(seconds=60)
