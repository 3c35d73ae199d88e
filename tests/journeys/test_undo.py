"""What a run took away comes back, as far as its registry can bring it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import UsageError
from janitor.undoing import UndoResult, undo
from tests.journeys.site import Ran, Site
from tests.simulators.oci import DISTRIBUTION_3, OciServer
from tests.simulators.world import ARM64, World

PLANNED, RESTORED, REFUSED, SKIPPED = (
    OutcomeKind.PLANNED,
    OutcomeKind.RESTORED,
    OutcomeKind.REFUSED,
    OutcomeKind.SKIPPED,
)
APP = "team/app"


@pytest.fixture
def world() -> World:
    world = World()
    world.push(APP, tags=["1.0.0"])
    platforms = [world.push(APP, created="50d"), world.push(APP, created="50d", platform=ARM64)]
    index = world.push_index(APP, children=platforms, tags=["pr-1", "pr-one"], created="50d")
    world.sign(APP, index)
    return world


@pytest.fixture
def site(tmp_path: Path, world: World) -> Iterator[Site]:
    with OciServer(world, DISTRIBUTION_3) as server:
        site = Site(tmp_path)
        site.address = server.address
        site.policies({"prod": {"provider": "oci", "endpoint": server.address}})
        yield site


def clean(site: Site, **settings: Any) -> Ran:
    return site.run(delete=True, state_dir=str(site.folder / "state"), **settings)


def take_back(site: Site, run_id: str, *, restore: bool = True) -> UndoResult:
    settings = site.settings(state_dir=str(site.folder / "state"))
    return undo(run_id, settings, {}, restore=restore, stop=site.stop, clock=site.clock, progress=site.watch)


def kinds(result: UndoResult) -> set[OutcomeKind]:
    return {each.outcome for each in result.changes}


def truth(world: World) -> tuple[set[str], dict[str, str]]:
    return set(world[APP].manifests), dict(world[APP].tags)


def test_everything_comes_back_as_it_was(site: Site, world: World) -> None:
    before = truth(world)
    done = clean(site)
    assert truth(world) != before
    result = take_back(site, done.report.run_id)
    assert (kinds(result), result.exit_code) == ({RESTORED}, 0)
    assert truth(world) == before


def test_without_restore_it_is_only_shown(site: Site, world: World) -> None:
    done = clean(site)
    after = truth(world)
    result = take_back(site, done.report.run_id, restore=False)
    assert (kinds(result), result.exit_code) == ({PLANNED}, 0)
    assert len(result.changes) == 4
    assert truth(world) == after


def test_what_came_back_counts_as_arrived_then(site: Site, world: World) -> None:
    done = clean(site)
    site.clock.advance(hours=1)
    take_back(site, done.report.run_id)
    before = truth(world)
    site.clock.advance(hours=1)
    assert clean(site).outcomes == ()
    assert truth(world) == before
    site.clock.advance(days=15)
    assert clean(site).tags(OutcomeKind.DELETED) >= {"pr-1"}


def test_a_tag_that_moved_meanwhile_is_not_taken(site: Site, world: World) -> None:
    done = clean(site)
    other = world[APP].tags["1.0.0"]
    world.retag(APP, "pr-1", other)
    result = take_back(site, done.report.run_id)
    assert world[APP].tags["pr-1"] == other
    assert world[APP].tags["pr-one"] != other
    (told,) = [each for each in result.changes if "pr-1" in each.intent.tags]
    assert "without pr-1" in (told.detail or "")


def test_what_can_not_come_back_is_said_one_by_one(site: Site, world: World) -> None:
    done = clean(site)
    world.blobs.clear()
    result = take_back(site, done.report.run_id)
    assert result.exit_code == 1
    assert kinds(result) == {REFUSED}
    assert all("gone" in (each.detail or "") for each in result.changes)


def test_a_tag_that_was_taken_off_is_put_back(site: Site, world: World) -> None:
    world.retag(APP, "sha-1", world[APP].tags["1.0.0"])
    rules = [
        {"name": "releases", "keep": {"tags": ["semver:*"]}},
        {"name": "builds", "delete": {"tags": ["sha-*", "pr-*"], "untag": True, "older_than": "1d"}},
    ]
    site.policies({"prod": {"provider": "oci", "endpoint": site.address, "deletes_tags": True}}, rules=rules)
    before = truth(world)
    done = clean(site)
    assert "sha-1" not in world[APP].tags
    take_back(site, done.report.run_id)
    assert truth(world) == before


def test_an_undo_is_in_a_journal_of_its_own_and_can_be_repeated(site: Site, world: World) -> None:
    done = clean(site)
    take_back(site, done.report.run_id)
    before = truth(world)
    again = take_back(site, done.report.run_id)
    assert (kinds(again), truth(world)) == ({RESTORED}, before)
    assert len(list((site.folder / "state" / "runs").glob("*-undo-*/journal.jsonl"))) == 2


def test_a_run_that_is_not_known_is_an_error_that_names_others(site: Site) -> None:
    done = clean(site)
    with pytest.raises(UsageError, match=done.report.run_id):
        take_back(site, "20200101T000000Z-000000")


def test_a_registry_that_the_policies_do_not_name_is_said(site: Site) -> None:
    done = clean(site)
    site.policies({"other": {"provider": "oci", "endpoint": site.address}})
    result = take_back(site, done.report.run_id)
    assert kinds(result) == {REFUSED}
    assert "prod is not among the registries" in (result.changes[0].detail or "")
