"""A plan that was saved is carried out as far as a fresh one holds it, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import FileError
from tests.journeys.site import RULES, Ran, Site
from tests.simulators.oci import ZOT, OciServer
from tests.simulators.world import World

DELETED, PLANNED, SKIPPED = OutcomeKind.DELETED, OutcomeKind.PLANNED, OutcomeKind.SKIPPED


@pytest.fixture
def world() -> World:
    world = World()
    for repository in ("team/api", "team/web"):
        for tag, age in (("1.0.0", "90d"), ("pr-1", "60d"), ("pr-2", "40d")):
            world.push(repository, tags=[tag], created=age)
    return world


@pytest.fixture
def site(tmp_path: Path, world: World) -> Iterator[Site]:
    with OciServer(world, ZOT) as server:
        site = Site(tmp_path)
        site.address = server.address
        site.policies({"prod": {"provider": "oci", "endpoint": server.address}})
        yield site


def save(site: Site) -> Ran:
    return site.run(plan=str(site.folder / "plan.jsonl"), state_dir=str(site.folder / "state"))


def apply(site: Site, *, delete: bool = True, **settings: object) -> Ran:
    return site.run(
        saved=str(site.folder / "plan.jsonl"),
        delete=delete,
        state_dir=str(site.folder / "state"),
        **settings,
    )


def why(ran: Ran, tag: str) -> str:
    (outcome,) = [each for each in ran.outcomes if tag in each.action.tags]
    return outcome.detail or ""


def test_what_both_plans_hold_is_done(site: Site, world: World) -> None:
    save(site)
    done = apply(site)
    assert done.exit_code == 0
    assert done.tags(DELETED) == {"pr-1", "pr-2"}
    assert set(world["team/api"].tags) == {"1.0.0"}


def test_without_delete_it_is_only_shown(site: Site, world: World) -> None:
    save(site)
    shown = apply(site, delete=False)
    assert shown.tags(PLANNED) == {"pr-1", "pr-2"}
    assert shown.report.mode == "dry-run"
    assert set(world["team/api"].tags) == {"1.0.0", "pr-1", "pr-2"}


def test_what_only_the_saved_plan_holds_is_skipped_with_its_reason(site: Site, world: World) -> None:
    save(site)
    world.retag("team/api", "2.0.0", world["team/api"].tags["pr-1"])
    world["team/api"].delete(world["team/api"].tags["pr-2"])
    del world.repositories["team/web"]
    done = apply(site)
    assert done.exit_code == 0
    assert done.tags(SKIPPED) == {"pr-1", "pr-2"}
    details = [each.detail or "" for each in done.outcomes]
    assert sum("planned afresh, it stays: kept by cleanup/releases" in each for each in details) == 1
    assert sum("gone already" in each for each in details) == 1
    assert sum("its repository is gone" in each for each in details) == 2
    assert set(world["team/api"].tags) == {"1.0.0", "2.0.0", "pr-1"}


def test_what_only_the_fresh_plan_holds_is_skipped_too(site: Site, world: World) -> None:
    world.push("team/api", tags=["pr-3"], created="10d")
    save(site)
    site.clock.advance(days=5)
    done = apply(site)
    assert done.tags(SKIPPED) == {"pr-3"}
    assert why(done, "pr-3") == "it is not in the saved plan"
    assert "pr-3" in world["team/api"].tags


def test_lines_of_a_repository_that_a_limit_had_stopped_count_too(site: Site) -> None:
    site.policies({"prod": {"provider": "oci", "endpoint": site.address}}, limits={"max_deletions": 1})
    assert save(site).exit_code == 3
    done = apply(site, max_deletions=100)
    assert done.tags(DELETED) == {"pr-1", "pr-2"}


def test_limits_are_judged_afresh(site: Site, world: World) -> None:
    save(site)
    done = apply(site, max_deletions=1)
    assert done.exit_code == 3
    assert done.tags(SKIPPED) == {"pr-1", "pr-2"}
    assert "pr-1" in world["team/api"].tags


def test_other_policies_are_a_warning(site: Site) -> None:
    save(site)
    assert apply(site, delete=False).notes == ()
    rules = [*RULES, {"name": "more", "keep": {"tags": ["pr-2"]}}]
    site.policies({"prod": {"provider": "oci", "endpoint": site.address}}, rules=rules)
    done = apply(site)
    assert done.notes == ("the saved plan was made with other policies than these",)
    assert (done.tags(DELETED), done.tags(SKIPPED)) == ({"pr-1"}, {"pr-2"})


def test_a_repository_that_can_not_be_listed_now_is_skipped(site: Site, world: World) -> None:
    save(site)
    world.fault("error", times=10_000, match="/v2/team/api/tags")
    site.clock.advance(hours=1)
    done = apply(site)
    assert done.exit_code == 1
    assert len(done.digests(DELETED)) == 2
    assert len(done.digests(SKIPPED)) == 2
    assert set(world["team/api"].tags) == {"1.0.0", "pr-1", "pr-2"}


def test_a_plan_that_was_cut_is_refused_before_anything_is_asked(site: Site, world: World) -> None:
    save(site)
    path = site.folder / "plan.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileError, match="the line is cut off"):
        apply(site)
    assert "pr-1" in world["team/api"].tags


def test_what_was_narrowed_away_is_skipped(site: Site, world: World) -> None:
    save(site)
    done = apply(site, repositories=("team/web",))
    assert len(done.digests(DELETED)) == len(done.digests(SKIPPED)) == 2
    assert "pr-1" in world["team/api"].tags
