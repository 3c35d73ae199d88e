"""The command line, end to end: real processes, real layouts, and a registry over the wire.

The program's clock is the machine's, so that ages are before now.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from janitor.files.planfile import read_plan
from janitor.files.statefolder import StateFolder
from tests.cli.house import janitor
from tests.conformance.layout_stage import write_layout
from tests.journeys.site import Site
from tests.simulators import oci as flavours
from tests.simulators.oci import OciServer
from tests.simulators.world import ARM64, World


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def world() -> World:
    """Two repositories with a release and two old pull requests, of two platforms and signed."""
    world = World(datetime.now(UTC).replace(microsecond=0))
    for repository in ("team/api", "team/web"):
        for tag, age in (("1.0.0", "90d"), ("pr-1", "60d"), ("pr-2", "40d")):
            platforms = [
                world.push(repository, created=age),
                world.push(repository, created=age, platform=ARM64),
            ]
            world.sign(repository, world.push_index(repository, children=platforms, tags=[tag], created=age))
    return world


@pytest.fixture
def server(world: World) -> Iterator[OciServer]:
    with OciServer(world, flavours.ZOT) as server:
        yield server


def over_the_wire(site: Site, server: OciServer, **more: Any) -> str:
    return str(site.policies({"prod": {"provider": "oci", "endpoint": server.address}}, **more))


def in_a_folder(site: Site, world: World, **more: Any) -> str:
    for name, repository in world.repositories.items():
        write_layout(site.folder / "layouts" / name, repository, world)
    return str(site.policies({"prod": {"provider": "oci-layout", "path": "layouts"}}, **more))


def tags(world: World, repository: str) -> set[str]:
    return {tag for tag in world[repository].tags if not tag.startswith("sha256-")}


def layout_tags(site: Site, repository: str) -> set[str]:
    index = json.loads((site.folder / "layouts" / repository / "index.json").read_bytes())
    named = {
        each.get("annotations", {}).get("org.opencontainers.image.ref.name") for each in index["manifests"]
    }
    return {tag for tag in named if tag and not tag.startswith("sha256-")}


def report(site: Site, *args: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    path = site.folder / "out.json"
    done = janitor("run", *args, "--report", str(path))
    return done, json.loads(path.read_text())


# --- the straight road ------------------------------------------------------------------------------------


def test_a_registry_is_looked_at_cleaned_and_looked_at_again(
    site: Site, server: OciServer, world: World
) -> None:
    policy = over_the_wire(site, server)
    shown, dry = report(site, policy)
    assert shown.returncode == 0
    assert "add --delete to do so" in shown.stdout
    assert tags(world, "team/api") == {"1.0.0", "pr-1", "pr-2"}
    cleaned, done = report(site, policy, "--delete")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert done["totals"]["deleted"] == dry["totals"]["planned"] == 16
    assert tags(world, "team/api") == tags(world, "team/web") == {"1.0.0"}
    assert all(len(world[name].manifests) == 4 for name in ("team/api", "team/web"))
    again, nothing = report(site, policy, "--delete")
    assert (again.returncode, nothing["totals"]["planned"]) == (0, 0)


def test_a_folder_of_layouts_is_cleaned(site: Site, world: World) -> None:
    policy = in_a_folder(site, world)
    cleaned, done = report(site, policy, "--delete")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert done["totals"]["deleted"] == 16
    assert layout_tags(site, "team/api") == layout_tags(site, "team/web") == {"1.0.0"}
    assert report(site, policy)[1]["totals"]["planned"] == 0


def test_an_inventory_is_planned_with_as_the_registry_itself(site: Site, world: World) -> None:
    policy = in_a_folder(site, world)
    now = ["--now", world.now.isoformat().replace("+00:00", "Z")]
    plans = [site.folder / "one.jsonl", site.folder / "other.jsonl"]
    assert janitor("run", policy, *now, "--plan", str(plans[0])).returncode == 0
    saved = site.folder / "inventory.jsonl"
    written = janitor("inventory", policy, "-o", str(saved))
    assert written.returncode == 0
    assert written.stdout.startswith("wrote 24 images of 2 repositories")
    policy = str(site.policies({"prod": {"provider": "inventory", "path": "inventory.jsonl"}}))
    assert janitor("run", policy, *now, "--plan", str(plans[1])).returncode == 0
    with read_plan(plans[0]) as one, read_plan(plans[1]) as other:
        assert list(one.lines()) == list(other.lines())
        assert one.summary.delete == 16


def test_a_plan_names_the_images_that_the_screen_shows(site: Site, server: OciServer) -> None:
    policy = over_the_wire(site, server)
    plan = site.folder / "plan.jsonl"
    shown = janitor("run", policy, "--plan", str(plan), "-v")
    with read_plan(plan) as file:
        actions = list(file.actions())
    assert shown.stdout.count("\n  delete ") == len(actions) == 16
    for action in actions:
        assert "cleanup/pull-requests" in action.rules
    assert "would delete 16 images" in shown.stdout


def test_a_run_closes_with_what_only_the_lack_of_a_rule_keeps(
    site: Site, server: OciServer, world: World
) -> None:
    for number in range(12):
        world.push("team/api", tags=[f"nightly-{number}"])
    world.push("team/web", tags=["sha-abc"])
    shown = janitor("run", over_the_wire(site, server))
    assert "13 images stay because no rule selects: nightly-* (12), sha-* (1)" in shown.stdout


def test_progress_and_results_take_different_ways(site: Site, server: OciServer) -> None:
    done = janitor("run", over_the_wire(site, server), "--delete", "--log-format", "json")
    assert all(json.loads(line) for line in done.stderr.splitlines())
    assert "deleted 16 images" in done.stdout


def test_policies_are_read_from_all_files_of_a_folder(site: Site, server: OciServer, world: World) -> None:
    over_the_wire(site, server)
    (site.folder / "keep.yml").write_text("version: 1\nprotect: {tags: [pr-1]}\n")
    (site.folder / "not.test.yaml").write_text("no: policy\n")
    done = janitor("run", str(site.folder), "--delete")
    assert done.returncode == 0, done.stderr
    assert tags(world, "team/api") == {"1.0.0", "pr-1"}


def test_a_run_is_narrowed_on_the_command_line(site: Site, server: OciServer, world: World) -> None:
    done = janitor("run", over_the_wire(site, server), "--delete", "--repository", "**/web")
    assert done.returncode == 0
    assert tags(world, "team/api") == {"1.0.0", "pr-1", "pr-2"}
    assert tags(world, "team/web") == {"1.0.0"}


# --- limits and use ---------------------------------------------------------------------------------------


def test_a_first_clean_up_passes_max_percent_until_it_is_said(
    site: Site, server: OciServer, world: World
) -> None:
    for number in range(20):
        world.push("team/api", tags=[f"pr-x{number}"], created="50d")
    policy = over_the_wire(site, server, limits={"max_percent": 80})
    stopped = janitor("run", policy, "--delete")
    assert stopped.returncode == 3
    assert "over max_percent 80" in stopped.stdout
    assert len(tags(world, "team/api")) == 23
    assert janitor("run", policy, "--delete", "--max-percent", "100").returncode == 0
    assert tags(world, "team/api") == {"1.0.0"}


def test_what_is_in_use_stays(site: Site, server: OciServer, world: World) -> None:
    (site.folder / "use.txt").write_text(f"{server.host}/team/api:pr-1\n")
    policy = over_the_wire(site, server, protect={"in_use": [{"file": "use.txt"}]})
    assert janitor("run", policy, "--delete").returncode == 0
    assert tags(world, "team/api") == {"1.0.0", "pr-1"}
    place = world["team/api"]
    assert set(place.manifests[place.tags["pr-1"]].children) <= set(place.manifests)


def test_use_that_can_not_be_read_deletes_nothing(site: Site, server: OciServer, world: World) -> None:
    policy = over_the_wire(site, server, protect={"in_use": [{"file": "use.txt"}]})
    done = janitor("run", policy, "--delete")
    assert done.returncode == 3
    assert "what is in use isn't known" in done.stdout
    assert len(world["team/api"].manifests) == 12
    assert server.asked("DELETE") == []


# --- what goes wrong --------------------------------------------------------------------------------------


def test_the_commands_exit_code_says_the_worst(site: Site, server: OciServer, world: World) -> None:
    """A registry that failed beats a limit that stopped."""
    policy = str(
        site.policies(
            {
                "prod": {"provider": "oci", "endpoint": server.address},
                "lost": {"provider": "oci-layout", "path": "lost"},
            },
            limits={"max_deletions": 1},
        )
    )
    done = janitor("run", policy, "--delete")
    assert done.returncode == 1
    assert "error:  lost: " in done.stdout
    assert len(world["team/api"].manifests) == 12


def test_an_unknown_registry_is_refused_with_a_hint_and_nothing_is_contacted(
    site: Site, server: OciServer
) -> None:
    done = janitor("run", over_the_wire(site, server), "--delete", "--registry", "pord")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean prod?" in done.stderr
    assert server.requests == []


def test_a_policy_error_is_told_at_its_place_and_nothing_is_contacted(site: Site, server: OciServer) -> None:
    policy = over_the_wire(site, server, rules=[{"delete": {"tags": ["!keep"]}}])
    done = janitor("run", policy, "--delete")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(rf"{re.escape(policy)}:\d+:\d+: ", done.stderr)
    assert server.requests == []


def test_a_held_state_folder_is_exit_1_and_names_its_holder(site: Site, server: OciServer) -> None:
    policy = over_the_wire(site, server)
    state = site.folder / "state"
    with StateFolder.hold(state, "the-other-run"):
        done = janitor("run", policy, "--delete", "--state-dir", str(state))
    assert done.returncode == 1
    assert "the-other-run" in done.stderr
    assert server.requests == []


def test_a_state_folder_that_can_not_be_written(site: Site, server: OciServer) -> None:
    policy = over_the_wire(site, server)
    (site.folder / "file").write_text("")
    state = ["--state-dir", str(site.folder / "file")]
    refused = janitor("run", policy, "--delete", *state)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert server.requests == []
    shown = janitor("run", policy, *state)
    assert shown.returncode == 0
    assert str(site.folder / "file") in shown.stdout.splitlines()[0]


def test_a_registry_that_is_not_there_is_exit_1(site: Site) -> None:
    site.policies({"prod": {"provider": "oci-layout", "path": "nowhere"}})
    done, said = report(site, str(site.folder / "policies.yaml"), "--delete")
    assert done.returncode == 1
    assert said["errors"][0]["registry"] == "prod"
    assert said["exit_code"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_while_it_deletes_leaves_nothing_broken(
    site: Site, world: World, number: signal.Signals
) -> None:
    for place in range(40):
        world.push("many", tags=[f"pr-{place}"], created=f"{100 + place}d")
    world.push("many", tags=["1.0.0"])
    with OciServer(world, flavours.DISTRIBUTION_3) as server:
        policy = over_the_wire(site, server)
        # Each deletion is answered late, so that the signal comes in the middle.
        world.fault("slow", times=1000, match="DELETE ")
        path = site.folder / "out.jsonl"
        command = [sys.executable, "-m", "janitor", "run", policy, "--delete", "--report", str(path)]
        command += ["--concurrency", "2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                while not server.asked("DELETE"):
                    assert process.poll() is None
                    time.sleep(0.01)
                process.send_signal(number)
                process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 128 + number
        sent = {target.rpartition("/")[2] for target in server.asked("DELETE")}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    outcomes = {line["digest"]: line["outcome"] for line in lines if line["kind"] == "action"}
    assert lines[0]["exit_code"] == 128 + number
    assert set(outcomes.values()) == {"deleted", "skipped"}
    # What was sent was waited for, and is told.
    assert {digest for digest, outcome in outcomes.items() if outcome == "deleted"} == sent
    assert len(outcomes) == 16 + 40
    for place_of in world.repositories.values():
        for held in place_of.manifests.values():
            assert set(held.children) <= set(place_of.manifests)
