"""What a run moved to the archive comes back, and what it deleted beside does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from janitor.undoing import UndoResult, undo
from tests.conformance.ecr_stage import ENVIRON
from tests.journeys.site import Site
from tests.simulators.ecr import REGION, EcrServer
from tests.simulators.world import ARM64, World

APP = "team/app"
RULES: list[dict[str, Any]] = [
    {"delete": {"tags": ["old-*"], "older_than": "30d", "archive": True}},
    {"delete": {"tags": ["pr-*"], "older_than": "30d"}},
]


@pytest.fixture
def world() -> World:
    world = World()
    world.push(APP, tags=["1.0.0"])
    platforms = [world.push(APP, created="50d"), world.push(APP, created="50d", platform=ARM64)]
    world.push_index(APP, children=platforms, tags=["old-1"], created="50d")
    world.push(APP, tags=["pr-1"], created="50d")
    return world


@pytest.fixture
def site(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    with EcrServer(world) as server:
        site = Site(tmp_path)
        keys = {"provider": "ecr", "region": REGION, "endpoint": server.address}
        site.policies({"prod": keys}, rules=RULES)
        yield site


def take_back(site: Site, run_id: str, *, restore: bool) -> UndoResult:
    settings = site.settings(state_dir=str(site.folder / "state"))
    return undo(run_id, settings, {}, restore=restore, stop=site.stop, clock=site.clock, progress=site.watch)


def test_an_index_goes_to_the_archive_with_its_platforms_and_comes_back_with_them(
    site: Site, world: World
) -> None:
    before = world.copy()[APP]
    ran = site.run(delete=True, state_dir=str(site.folder / "state"))
    index = before.tags["old-1"]
    moved = {index, *before.manifests[index].children}
    assert world[APP].archived.keys() == moved
    assert world[APP].manifests.keys() == before.manifests.keys() - {before.tags["pr-1"]}
    run_id = ran.report.run_id
    looked = take_back(site, run_id, restore=False)
    assert {each.intent.digest for each in looked.changes if each.outcome is OutcomeKind.PLANNED} == moved
    result = take_back(site, run_id, restore=True)
    outcomes = {each.intent.digest: each.outcome for each in result.changes}
    assert outcomes == dict.fromkeys(moved, OutcomeKind.RESTORED) | {before.tags["pr-1"]: OutcomeKind.REFUSED}
    assert world[APP].archived == {}
