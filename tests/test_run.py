from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.core.plan import RepositoryState
from janitor.core.report import OutcomeKind
from janitor.errors import FileError, PolicyError, UsageError
from janitor.files.planfile import read_plan
from janitor.files.reportfile import read_report
from janitor.files.statefolder import StateFolder
from tests.conformance.layout_stage import write_layout
from tests.journeys.site import Site
from tests.simulators import oci as flavours
from tests.simulators.oci import OciServer
from tests.simulators.world import ARM64, World

DELETED, FAILED, PLANNED, SKIPPED = (
    OutcomeKind.DELETED,
    OutcomeKind.FAILED,
    OutcomeKind.PLANNED,
    OutcomeKind.SKIPPED,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def sample(*repositories: str) -> World:
    """In each repository a release and two old pull requests, all of two platforms and signed."""
    world = World()
    for repository in repositories or ("team/api", "team/web"):
        for tag, age in (("1.0.0", "90d"), ("pr-1", "60d"), ("pr-2", "40d")):
            platforms = [
                world.push(repository, created=age),
                world.push(repository, created=age, platform=ARM64),
            ]
            index = world.push_index(repository, children=platforms, tags=[tag], created=age)
            world.sign(repository, index)
    return world


def many(count: int) -> World:
    """Repositories of a release and two old pull requests, of an image each."""
    world = World()
    for number in range(count):
        for tag, age in (("1.0.0", "90d"), ("pr-1", "60d"), ("pr-2", "40d")):
            world.push(f"repository-{number}", tags=[tag], created=age)
    return world


@pytest.fixture
def server() -> Iterator[OciServer]:
    with OciServer(sample(), flavours.DISTRIBUTION_3) as server:
        yield server


def simulated(server: OciServer, **more: Any) -> dict[str, dict[str, Any]]:
    return {"prod": {"provider": "oci", "endpoint": server.address, **more}}


def layouts(site: Site, world: World) -> dict[str, dict[str, Any]]:
    for name, repository in world.repositories.items():
        write_layout(site.folder / "layouts" / name, repository, world)
    return {"prod": {"provider": "oci-layout", "path": "layouts"}}


def blobs(site: Site, repository: str) -> set[str]:
    folder = site.folder / "layouts" / repository / "blobs" / "sha256"
    return {f"sha256:{path.name}" for path in folder.iterdir()}


def complete(server: OciServer) -> bool:
    """Every index that is there has all of its platforms."""
    return all(
        child in place.manifests
        for place in server.world.repositories.values()
        for held in place.manifests.values()
        for child in held.children
    )


# --- a whole run ------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    before = server.world.copy()
    ran = site.run()
    assert (ran.exit_code, ran.report.mode) == (0, "dry-run")
    assert {outcome.outcome for outcome in ran.outcomes} == {PLANNED}
    assert server.world.repositories == before.repositories
    assert {request.method for request in server.requests} <= {"GET", "HEAD"}


def test_a_run_that_deletes_does_what_the_dry_run_showed(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    shown = site.run()
    done = site.run(delete=True)
    assert (done.exit_code, done.report.mode) == (0, "delete")
    assert [each.action for each in done.outcomes] == [each.action for each in shown.outcomes]
    assert done.digests(DELETED) == shown.digests(PLANNED)
    tags = {tag for tag in server.world["team/api"].tags if not tag.startswith("sha256-")}
    assert tags == {"1.0.0"}
    assert complete(server)


def test_a_run_right_after_another_finds_nothing_to_do(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    site.run(delete=True)
    again = site.run(delete=True)
    assert (again.exit_code, again.outcomes) == (0, ())


def test_layouts_lose_their_blobs_and_keep_those_that_stay(site: Site) -> None:
    world = sample("app")
    site.policies(layouts(site, world))
    ran = site.run(delete=True)
    assert ran.exit_code == 0
    stays = {world["app"].tags["1.0.0"], *world["app"].manifests[world["app"].tags["1.0.0"]].children}
    assert stays <= blobs(site, "app")
    assert ran.digests(DELETED).isdisjoint(blobs(site, "app"))
    assert site.run().outcomes == ()


def test_a_second_run_over_an_unchanged_registry_reads_no_manifest_again(
    site: Site, server: OciServer
) -> None:
    site.policies(simulated(server))
    first = site.run()
    read = len(server.asked("GET", "/manifests/sha256:")) + len(server.asked("GET", "/blobs/"))
    server.requests.clear()
    second = site.run()
    assert read > 0
    # Of the children that nobody ever pushed there is nothing to remember.
    assert server.asked("GET", "/manifests/sha256:") == []
    assert server.asked("GET", "/blobs/") == []
    assert [each.action for each in second.outcomes] == [each.action for each in first.outcomes]


# --- the report -------------------------------------------------------------------------------------------


def test_totals_are_the_sums_of_what_happened(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    server.world.push("team/api", tags=["nightly-1"])
    ran = site.run(delete=True)
    totals = ran.report.totals
    held = sum(repository.images for repository in ran.report.repositories)
    assert (totals.repositories, totals.images) == (2, held)
    assert totals.planned == totals.deleted == len(ran.outcomes)
    assert (
        totals.planned_bytes
        == totals.deleted_bytes
        == sum(outcome.action.size_bytes or 0 for outcome in ran.outcomes)
    )
    assert totals.failed == totals.skipped == totals.refused == totals.untagged == totals.archived == 0
    for repository in ran.report.repositories:
        assert repository.remaining == repository.images - repository.deleted
    assert [(one.pattern, one.images) for one in ran.report.unselected] == [("nightly-*", 1)]
    (registry,) = ran.report.registries
    assert (registry.name, registry.provider) == ("prod", "oci")
    assert registry.requests.list + registry.requests.delete + registry.requests.other == len(server.requests)
    assert registry.requests.delete == len(server.asked("DELETE"))


def test_reports_and_the_plan_say_the_same(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    paths = [str(site.folder / f"out.{suffix}") for suffix in ("json", "jsonl", "csv")]
    plan = str(site.folder / "plan.jsonl")
    ran = site.run(delete=True, reports=tuple(paths), plan=plan)
    assert read_report(Path(paths[0])).report == ran.report
    file = read_report(Path(paths[1]))
    assert file.report == ran.report
    assert tuple(file.outcomes()) == ran.outcomes
    with Path(paths[2]).open(newline="") as stream:
        assert [row["digest"] for row in csv.DictReader(stream)] == [
            each.action.digest for each in ran.outcomes
        ]
    with read_plan(Path(plan)) as saved:
        assert list(saved.actions()) == [each.action for each in ran.outcomes]
        assert saved.summary.delete == len(ran.outcomes)


def test_a_run_that_deleted_leaves_its_report_in_the_state_folder(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    ran = site.run(delete=True, state_dir=str(site.folder / "state"))
    path = site.folder / "state" / "runs" / ran.report.run_id / "report.jsonl"
    assert read_report(path).report == ran.report


def test_use_is_told_with_what_it_did_not_find(site: Site, server: OciServer) -> None:
    host = server.host
    (site.folder / "use.txt").write_text(
        f"{host}/team/api:pr-1\n{host}/team/api:gone\nelsewhere.example/app:1\n{host}/never/was:1\n"
    )
    site.policies(simulated(server), protect={"in_use": [{"file": "use.txt"}]})
    ran = site.run()
    (source,) = ran.report.in_use.sources
    assert (source.references, source.error) == (4, None)
    assert ran.report.in_use.not_found == (f"{host}/never/was:1", f"{host}/team/api:gone")
    # A signature's tag stands beside the image's own.
    assert {tag for tag in ran.tags(PLANNED) if tag.startswith("pr-")} == {"pr-1", "pr-2"}
    repositories = {each.action.repository for each in ran.outcomes if "pr-1" in each.action.tags}
    assert repositories == {"team/web"}


# --- the plan file ----------------------------------------------------------------------------------------


def inventory_lines(world: World, registry: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, place in world.repositories.items():
        for digest, held in place.manifests.items():
            line = {
                "registry": registry,
                "repository": name,
                "digest": digest,
                "tags": sorted(place.tags_of(digest)),
                "media_type": held.media_type,
                "type": held.type,
                "pushed_at": None if held.pushed_at is None else held.pushed_at.isoformat(),
                "size_bytes": held.size_bytes,
                "children": list(held.children),
                "subject": held.subject,
            }
            found.setdefault(name, []).append(json.dumps(line))
    return found


def test_permuted_inventories_make_the_same_plan_byte_for_byte(site: Site) -> None:
    world = sample("a", "b", "c", "d")
    for number in range(20):
        # All of one age, so that only the names are left to say what comes first.
        world.push("a", tags=[f"pr-x{number}"], created="30d", pushed="30d")
    site.policies({"prod": {"provider": "inventory", "path": "inventory.jsonl"}}, limits={"budget": 12})
    plans = []
    for seed in range(5):
        rng = random.Random(seed)  # noqa: S311  an order, not a secret
        groups = list(inventory_lines(world, "prod").values())
        rng.shuffle(groups)
        for lines in groups:
            rng.shuffle(lines)
        text = "".join(f"{line}\n" for lines in groups for line in lines)
        (site.folder / "inventory.jsonl").write_text(text)
        path = site.folder / f"plan{seed}.jsonl"
        site.run(plan=str(path))
        plans.append(path.read_bytes())
    assert len(plans[0].splitlines()) > 12
    assert set(plans) == {plans[0]}


def test_concurrency_changes_no_byte_of_a_plan(site: Site, server: OciServer) -> None:
    for number in range(12):
        server.world.push(f"team/r{number}", tags=["pr-1", "main"], created="30d")
        server.world.push(f"team/r{number}", tags=["pr-2"], created="30d")
    site.policies(simulated(server))
    plans = []
    for concurrency in (1, 16):
        path = site.folder / f"plan{concurrency}.jsonl"
        state = str(site.folder / f"state{concurrency}")
        site.run(plan=str(path), concurrency=concurrency, state_dir=state)
        plans.append(path.read_bytes())
    assert plans[0] == plans[1]
    names = [json.loads(line).get("repository") for line in plans[0].splitlines() if b'"repository"' in line]
    assert names == sorted(names)


def test_an_inventory_of_many_repositories_with_a_torn_line_is_touched_nowhere(site: Site) -> None:
    groups = inventory_lines(sample("a", "b", "c"), "prod")
    groups["c"][1] = groups["c"][1][:40]
    text = "".join(f"{line}\n" for lines in groups.values() for line in lines)
    (site.folder / "inventory.jsonl").write_text(text)
    site.policies({"prod": {"provider": "inventory", "path": "inventory.jsonl"}})
    ran = site.run()
    assert ran.exit_code == 1
    assert ran.outcomes == ()
    assert {one.state for one in ran.report.repositories} == {RepositoryState.FAILED}
    (error,) = ran.report.errors
    assert (error.registry, error.repository) == ("prod", "")


# --- shards and options -----------------------------------------------------------------------------------


def test_shards_do_together_what_one_run_does(site: Site) -> None:
    world = many(30)
    site.policies(layouts(site, world))
    whole = site.run()
    parts = [site.run(shard=(shard, 3)) for shard in range(3)]
    assert sorted(each.action.digest for part in parts for each in part.outcomes) == sorted(
        each.action.digest for each in whole.outcomes
    )
    repositories = [{one.repository for one in part.report.repositories} for part in parts]
    assert sum(map(len, repositories)) == 30
    assert all(repositories)


def test_shards_share_a_budget(site: Site) -> None:
    world = many(30)
    site.policies(layouts(site, world), limits={"budget": 8})
    gone = [
        sum(any(tag.startswith("pr-") for tag in each.action.tags) for each in part.outcomes)
        for part in (site.run(shard=(shard, 3)) for shard in range(3))
    ]
    assert sorted(gone) == [2, 3, 3]


def test_shards_share_max_deletions(site: Site) -> None:
    """As many may go as would; but the parts are not equally large."""
    world = many(30)
    site.policies(layouts(site, world), limits={"max_deletions": 60})
    assert site.run().exit_code == 0
    parts = [site.run(shard=(shard, 3)) for shard in range(3)]
    for part in parts:
        judged = sum(any(tag.startswith("pr-") for tag in each.action.tags) for each in part.outcomes)
        assert part.exit_code == (3 if judged > 20 else 0)


def test_an_option_replaces_the_value_of_the_files(site: Site, server: OciServer) -> None:
    site.policies(simulated(server), limits={"max_deletions": 1, "max_percent": 10})
    assert site.run().exit_code == 3
    ran = site.run(max_deletions=100, max_percent=100)
    assert ran.exit_code == 0
    site.policies(simulated(server))
    assert site.run(max_percent=0).exit_code == 3
    assert site.run(max_deletions=0).exit_code == 3


def test_a_narrowed_run_is_judged_by_every_policy(site: Site, server: OciServer) -> None:
    keeper = {
        "name": "keep-all",
        "registries": "*",
        "repositories": "**",
        "rules": [{"keep": {"tags": "pr-1"}}],
    }
    site.policies(simulated(server))
    other = site.folder / "other.yaml"
    other.write_text(json.dumps({"version": 1, "policies": [keeper]}))
    ran = site.run(site.folder / "policies.yaml", other, registries=("prod",), repositories=("team/api",))
    assert {one.repository for one in ran.report.repositories} == {"team/api"}
    assert {tag for tag in ran.tags(PLANNED) if tag.startswith("pr-")} == {"pr-2"}


def test_a_limited_run_says_so_and_asks_the_registry_nothing_more(site: Site, server: OciServer) -> None:
    site.policies(simulated(server), limits={"max_deletions": 1})
    site.run()
    listed = len(server.requests)
    server.requests.clear()
    ran = site.run(delete=True)
    assert ran.exit_code == 3
    assert {each.outcome for each in ran.outcomes} == {SKIPPED}
    assert ran.report.totals.planned == ran.report.totals.skipped > 0
    assert len(server.requests) <= listed


# --- what goes wrong --------------------------------------------------------------------------------------


def test_a_mistake_in_a_policy_contacts_nobody(site: Site, server: OciServer) -> None:
    site.policies(simulated(server), rules=[{"delete": {"tagz": ["pr-*"]}}])
    with pytest.raises(PolicyError, match="tags"):
        site.run(delete=True, state_dir=str(site.folder / "state"))
    assert server.requests == []
    assert not (site.folder / "state").exists()


def test_deleting_in_a_file_contacts_nobody(site: Site, server: OciServer) -> None:
    registries = simulated(server) | {"saved": {"provider": "inventory", "path": "inventory.jsonl"}}
    site.policies(registries)
    with pytest.raises(UsageError, match="saved"):
        site.run(delete=True)
    assert server.requests == []


@pytest.mark.parametrize("setting", ["plan", "reports"])
def test_what_could_not_be_written_is_refused_before_anybody_is_contacted(
    site: Site, server: OciServer, setting: str
) -> None:
    site.policies(simulated(server))
    path = str(site.folder / "nowhere" / "out.json")
    with pytest.raises(UsageError, match="nowhere"):
        site.run(delete=True, **{setting: path if setting == "plan" else (path,)})
    assert server.requests == []


def test_a_registry_that_breaks_leaves_the_others_to_be_done(site: Site, server: OciServer) -> None:
    registries = simulated(server) | {"lost": {"provider": "oci-layout", "path": "lost"}}
    site.policies(registries)
    ran = site.run(delete=True)
    assert ran.exit_code == 1
    assert [(error.registry, error.repository) for error in ran.report.errors] == [("lost", "")]
    assert {each.outcome for each in ran.outcomes} == {DELETED}


def test_a_registry_that_can_not_be_opened_leaves_the_others_to_be_done(
    site: Site, server: OciServer
) -> None:
    lost = {"provider": "oci", "endpoint": "https://me:hidden@registry.example"}
    site.policies(simulated(server) | {"lost": lost})
    ran = site.run(delete=True)
    assert ran.exit_code == 1
    (error,) = ran.report.errors
    assert error.registry == "lost"
    assert "hidden" not in error.message
    assert {each.outcome for each in ran.outcomes} == {DELETED}


def test_a_deletion_that_fails_is_exit_1_and_the_rest_is_done(site: Site, server: OciServer) -> None:
    digest = server.world["team/api"].tags["pr-1"]
    server.world.fault("error", status=403, times=9, match=f"DELETE .*{digest}")
    site.policies(simulated(server))
    ran = site.run(delete=True)
    assert ran.exit_code == 1
    assert ran.digests(FAILED) == {digest}
    family = {digest, *server.world["team/api"].manifests[digest].children}
    assert family <= set(server.world["team/api"].manifests)
    assert ran.report.totals.skipped == 3
    assert ran.report.totals.deleted == ran.report.totals.planned - 4
    assert complete(server)


def test_a_repository_whose_listing_breaks_is_failed(site: Site, server: OciServer) -> None:
    server.world.fault("error", status=400, times=9, match="GET /v2/team/web/tags/list")
    site.policies(simulated(server))
    ran = site.run(delete=True)
    assert ran.exit_code == 1
    states = {one.repository: one.state for one in ran.report.repositories}
    assert states == {"team/api": RepositoryState.OK, "team/web": RepositoryState.FAILED}
    assert len(server.world["team/web"].manifests) == 12
    assert ran.digests(DELETED)


def test_a_tag_that_moves_after_the_plan_lets_its_image_stay(site: Site, server: OciServer) -> None:
    digest = server.world["team/api"].tags["pr-1"]
    site.watch.at_start["deleting"] = lambda: server.world.retag("team/api", "2.0.0", digest)
    site.policies(simulated(server))
    ran = site.run(delete=True)
    assert ran.exit_code == 0
    assert digest in ran.digests(SKIPPED)
    assert "2.0.0" in server.world["team/api"].tags
    assert complete(server)


def test_a_network_that_goes_away_after_the_plan_fails_what_is_left(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))

    def goes_away() -> None:
        server.world.fault("error", status=400, times=10_000)

    site.watch.at_start["deleting"] = goes_away
    ran = site.run(delete=True)
    assert ran.exit_code == 1
    assert {each.outcome for each in ran.outcomes} == {FAILED}
    assert ran.report.totals.failed == ran.report.totals.planned > 0


def test_use_that_can_not_be_read_after_ten_minutes_stops_the_rest(site: Site, server: OciServer) -> None:
    use = site.folder / "use.txt"
    use.write_text(f"{server.host}/team/api:1.0.0\n")
    site.policies(simulated(server), protect={"in_use": [{"file": "use.txt"}]})

    def eleven_minutes_later() -> None:
        use.unlink()
        site.clock.advance(minutes=11)

    site.watch.after["deleting", "prod/team/api"] = eleven_minutes_later
    ran = site.run(delete=True)
    assert ran.exit_code == 3
    outcomes = {(each.action.repository, each.outcome) for each in ran.outcomes}
    assert outcomes == {("team/api", DELETED), ("team/web", SKIPPED)}
    assert ran.report.in_use.sources[0].error is not None


def test_use_that_changes_within_ten_minutes_is_not_read_again(site: Site, server: OciServer) -> None:
    use = site.folder / "use.txt"
    use.write_text(f"{server.host}/team/api:1.0.0\n")
    site.policies(simulated(server), protect={"in_use": [{"file": "use.txt"}]})
    site.watch.after["deleting", "prod/team/api"] = use.unlink
    assert site.run(delete=True).exit_code == 0


@pytest.mark.parametrize("number", [2, 15])
def test_a_run_that_is_interrupted_skips_the_rest_and_reports_all(
    site: Site, server: OciServer, number: int
) -> None:
    site.policies(simulated(server))

    def interrupted() -> None:
        site.stop.signal = number
        site.stop.set()

    site.watch.after["deleting", "prod/team/api"] = interrupted
    report = site.folder / "out.json"
    ran = site.run(delete=True, reports=(str(report),))
    assert ran.exit_code == 128 + number
    outcomes = {(each.action.repository, each.outcome) for each in ran.outcomes}
    assert outcomes == {("team/api", DELETED), ("team/web", SKIPPED)}
    assert json.loads(report.read_text())["exit_code"] == 128 + number
    assert complete(server)


# --- the state folder -------------------------------------------------------------------------------------


def test_a_state_folder_that_can_not_be_written_refuses_only_deletions(site: Site, server: OciServer) -> None:
    blocked = site.folder / "file"
    blocked.write_text("")
    site.policies(simulated(server))
    with pytest.raises(UsageError, match=str(blocked)):
        site.run(delete=True, state_dir=str(blocked))
    assert server.requests == []
    ran = site.run(state_dir=str(blocked))
    assert ran.exit_code == 0
    assert str(blocked) in ran.notes[0]


def test_a_held_state_folder_names_its_holder_at_once(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    with (
        StateFolder.hold(site.folder / "state", "another-run"),
        pytest.raises(FileError, match="another-run"),
    ):
        site.run(state_dir=str(site.folder / "state"))
    assert server.requests == []
    assert site.run(state_dir=str(site.folder / "state")).exit_code == 0


def test_a_shard_holds_a_lock_of_its_own(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    with StateFolder.hold(site.folder / "state", "another-run", (0, 2)):
        assert site.run(state_dir=str(site.folder / "state"), shard=(1, 2)).exit_code == 0
        with pytest.raises(FileError, match="another-run"):
            site.run(state_dir=str(site.folder / "state"), shard=(0, 2))


def test_what_appears_after_the_first_meeting_is_as_young_as_its_appearance(
    site: Site, server: OciServer
) -> None:
    site.policies(simulated(server))
    first = site.run()
    new = server.world.push("team/api", tags=["pr-9"], created="60d")
    site.clock.advance(days=2)
    second = site.run()
    assert new not in second.digests(PLANNED)
    assert second.digests(PLANNED) == first.digests(PLANNED)
    site.clock.advance(days=15)
    assert new in site.run().digests(PLANNED)


def test_what_appears_is_not_placed_in_a_time_that_was_only_assumed(site: Site, server: OciServer) -> None:
    site.policies(simulated(server))
    site.run()
    new = server.world.push("team/api", tags=["pr-9"], created="60d")
    assert new in site.run(now=site.clock()).digests(PLANNED)
