"""The parts of a run, and the runs of some days, put together again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import Report
from janitor.files.reportset import ReportSet, read_reports
from tests.journeys.site import Site
from tests.simulators import oci as flavours
from tests.simulators.oci import OciServer
from tests.simulators.world import ARM64, World

SHARDS = 8


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def estate(repositories: int) -> World:
    """Repositories with a release, old pull requests and something untagged, of two platforms."""
    world = World()
    for number in range(repositories):
        name = f"team/app-{number}"
        for tag, age in (("1.0.0", "90d"), *((f"pr-{n}", f"{20 + n}d") for n in range(number % 5))):
            platforms = [world.push(name, created=age), world.push(name, created=age, platform=ARM64)]
            world.push_index(name, children=platforms, tags=[tag], created=age)
        world.push(name, tags=[f"nightly-{number}"], created="50d")
    return world


def policies(site: Site, server: OciServer, **more: Any) -> None:
    site.policies({"prod": {"provider": "oci", "endpoint": server.address}}, **more)


def ran(site: Site, name: str, **settings: Any) -> str:
    path = str(site.folder / f"{name}.jsonl")
    site.run(reports=(path,), state_dir=str(site.folder / name), **settings)
    return path


def page(report: Report) -> dict[str, Any]:
    """What of a report doesn't hang on how it was divided."""
    return {
        "totals": report.totals,
        "repositories": report.repositories,
        "unselected": report.unselected,
        "exit_code": report.exit_code,
        "in_use": report.in_use,
    }


def images(found: ReportSet) -> list[tuple[str, str, str]]:
    return sorted(
        (each.action.repository, each.action.digest, each.outcome.value) for each in found.outcomes()
    )


@pytest.mark.parametrize("delete", [False, True])
def test_eight_shards_put_together_are_the_whole_run(site: Site, *, delete: bool) -> None:
    world = estate(48)
    with OciServer(world.copy(), flavours.DISTRIBUTION_3) as server:
        policies(site, server)
        whole = read_reports([ran(site, "whole", delete=delete)])
    with OciServer(world.copy(), flavours.DISTRIBUTION_3) as server:
        policies(site, server)
        parts = [ran(site, f"shard-{n}", delete=delete, shard=(n, SHARDS)) for n in range(SHARDS)]
    assert all(read_reports([part]).report.repositories for part in parts), "a shard without work proves less"
    together = read_reports(parts)
    assert page(together.report) == page(whole.report)
    assert images(together) == images(whole)
    assert together.report.totals.planned > 0


def test_the_nights_of_a_week_put_together_say_what_the_week_deleted(site: Site) -> None:
    world = estate(10)
    held = sum(len(place.manifests) for place in world.repositories.values())
    with OciServer(world, flavours.DISTRIBUTION_3) as server:
        policies(site, server, limits={"budget": 9})
        nights = []
        for night in range(7):
            nights.append(ran(site, f"night-{night}", delete=True))
            site.clock.advance(days=1)
    found = read_reports(nights).report
    left = sum(len(place.manifests) for place in world.repositories.values())
    assert found.totals.deleted == held - left > 9
    assert found.totals.images == held
    assert sum(each.remaining for each in found.repositories) == left
