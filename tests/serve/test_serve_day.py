"""Days of `janitor serve` against a registry's simulator, by a clock that the test moves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from janitor.errors import FileError, PolicyError, UsageError
from janitor.files.statefolder import StateFolder
from janitor.serve.daemon import Daemon
from janitor.serve.history import Entry
from tests.instant import NOW
from tests.journeys.inprocess import Clock
from tests.journeys.site import Site, Watch
from tests.serve.quiet import Hours, daemon
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
NIGHTLY = {"cron": "15 3 * * *", "timezone": "Europe/Berlin"}
HOURLY = {"cron": "0 * * * *", "repositories": ["ci/**"]}


class Place:
    """A registry with two teams, a policy file, and a state folder; daemons come and go."""

    def __init__(self, folder: Path, server: OciServer) -> None:
        self.site = Site(folder)
        self.world = server.world
        self.address = server.address
        self.clock = Clock(MIDNIGHT)
        self.watch = Watch()
        self.state = folder / "state"
        self.schedule(NIGHTLY, HOURLY)

    @property
    def policies(self) -> Path:
        return self.site.folder / "policies.yaml"

    def schedule(self, *schedules: dict[str, Any], **more: Any) -> None:
        if schedules:
            more["schedules"] = list(schedules)
        self.site.policies({"prod": {"provider": "oci", "endpoint": self.address}}, **more)

    def hours(self, duration: timedelta = DAY) -> Hours:
        return Hours(self.clock, self.clock() + duration, stride=MINUTE)

    def work(self, hours: Hours, **settings: Any) -> Daemon:
        """Let a daemon work for as long as that."""
        made: Daemon
        with self.daemon(hours, **settings) as (made, _):
            self.exit_code = made.work()
        return made

    def daemon(self, hours: Hours, **settings: Any) -> Any:
        options = {"state_dir": str(self.state)} | settings
        return daemon(self.policies, hours, watch=self.watch, **options)

    def tags(self, repository: str) -> set[str]:
        return set(self.world[repository].tags)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    world = World()
    for name in ("team/api", "ci/cache"):
        world.push(name, tags=["1.0.0"])
        world.push(name, tags=["pr-1"], created="60d")
    with OciServer(world, DISTRIBUTION_2) as server:
        yield Place(tmp_path, server)


def got(address: str, path: str) -> Any:
    response = urllib3.request("GET", f"{address}{path}", retries=False)
    assert response.status == 200, response.data
    return json.loads(response.data) if path.startswith("/api/") else response.data.decode()


def dues(entries: tuple[Entry, ...]) -> list[tuple[str, datetime]]:
    return [(entry.schedule or "", entry.due or MIDNIGHT) for entry in reversed(entries)]


def test_in_a_day_every_run_is_run_once_and_all_is_told(place: Place) -> None:
    place.clock.now += timedelta(seconds=30)
    hours = place.hours()
    with place.daemon(hours, delete=True) as (made, address):
        assert made.work() == 143
        entries = made.history.entries()
        page, runs, metrics = got(address, "/"), got(address, "/api/runs"), got(address, "/metrics")
        one = got(address, f"/api/runs/{entries[0].run_id}")
        assert "Registry clean-up" in got(address, f"/runs/{entries[0].run_id}")
    hourly = [
        ("0 * * * * UTC repository:ci/**", MIDNIGHT + timedelta(hours=hour)) for hour in range(24)
    ]  # the first was half a minute ago
    berlin = [("15 3 * * * Europe/Berlin", MIDNIGHT + timedelta(hours=1, minutes=15))]
    assert sorted(dues(entries)) == sorted(hourly + berlin)
    assert {entry.exit_code for entry in entries} == {0}
    assert place.tags("team/api") == place.tags("ci/cache") == {"1.0.0"}
    assert sum(entry.totals.deleted for entry in entries if entry.totals) == 2
    assert [run["run_id"] for run in runs["runs"]] == [entry.run_id for entry in entries]
    assert one["report"]["run_id"] == entries[0].run_id
    assert page.count("/runs/") == 25
    assert 'janitor_serve_runs_total{schedule="0 * * * * UTC repository:ci/**",exit_code="0"} 24' in metrics


def test_a_schedule_narrows_its_run_as_the_options_narrow_one(place: Place) -> None:
    place.schedule({"cron": "0 1 * * *", "registries": ["p*"], "repositories": ["**", "!ci/**"]})
    made = place.work(place.hours(), delete=True)
    (entry,) = made.history.entries()
    assert place.tags("team/api") == {"1.0.0"}
    assert place.tags("ci/cache") == {"1.0.0", "pr-1"}
    assert entry.totals is not None
    assert entry.totals.repositories == 1


def test_without_delete_it_deletes_nothing_and_keeps_the_reports(place: Place) -> None:
    made = place.work(place.hours())
    assert place.tags("team/api") == {"1.0.0", "pr-1"}
    for entry in made.history.entries():
        assert entry.mode == "dry-run"
        report = made.history.report(entry.run_id)
        assert report is not None
        assert len(list(report.outcomes())) == (1 if "ci/**" in (entry.schedule or "") else 2)


def test_what_was_served_is_not_made_up_by_the_next_daemon_and_what_was_missed_is(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    place.work(place.hours(timedelta(hours=3)))
    assert len(place.work(place.hours(timedelta(hours=1))).history.entries()) == 1
    place.clock.now = MIDNIGHT + DAY + timedelta(hours=7, minutes=59)
    entries = place.work(place.hours(timedelta(minutes=2))).history.entries()
    assert dues(entries) == [
        ("0 2 * * * UTC", MIDNIGHT + timedelta(hours=2)),
        ("0 2 * * * UTC", MIDNIGHT + DAY + timedelta(hours=2)),
    ]
    place.clock.now = MIDNIGHT + 2 * DAY + timedelta(hours=8, minutes=1)
    assert len(place.work(place.hours(timedelta(minutes=2))).history.entries()) == 2


def test_a_run_that_was_interrupted_is_made_up_by_the_next_daemon(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    hours = place.hours(timedelta(hours=3))
    place.watch.after["deleting", "prod/ci/cache"] = hours.end
    made = place.work(hours, delete=True)
    assert place.exit_code == 143
    assert [entry.exit_code for entry in made.history.entries()] == [143]
    assert place.tags("team/api") == {"1.0.0", "pr-1"}
    place.clock.advance(minutes=1)
    made = place.work(place.hours(timedelta(hours=3)), delete=True)
    assert [entry.exit_code for entry in made.history.entries()] == [0, 143]
    assert place.tags("team/api") == {"1.0.0"}


def test_a_run_that_was_killed_is_told_and_made_up(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})

    def kill() -> None:
        raise KeyboardInterrupt

    place.watch.at_start["listing"] = kill
    with pytest.raises(KeyboardInterrupt):
        place.work(place.hours())
    place.clock.advance(minutes=1)
    with place.daemon(place.hours(timedelta(minutes=5))) as (made, address):
        made.work()
        assert [entry.exit_code for entry in made.history.entries()] == [0, None]
        assert "broken off" in got(address, "/")


def test_each_run_has_the_deadline_for_itself(place: Place) -> None:
    place.schedule({"cron": "0 2,4 * * *"})
    place.watch.after["deleting", "prod/ci/cache"] = lambda: place.clock.advance(minutes=61)
    made = place.work(place.hours(), delete=True, deadline=timedelta(hours=1))
    assert [entry.exit_code for entry in made.history.entries()] == [0, 3]
    assert place.tags("team/api") == {"1.0.0"}


def test_a_run_that_fails_is_told_and_ends_nothing(place: Place) -> None:
    place.schedule({"cron": "0 * * * *"})
    hours = place.hours(timedelta(hours=3))

    def explode() -> None:
        raise ZeroDivisionError('"><script>')

    place.watch.at_start["listing"] = explode
    with place.daemon(hours) as (made, address):
        made.work()
        entries = made.history.entries()
        page = got(address, f"/runs/{entries[-1].run_id}")
    assert [entry.exit_code for entry in entries] == [0, 0, 1]
    assert "ZeroDivisionError: &quot;&gt;&lt;script&gt;" in page


def test_a_registry_that_is_gone_fails_its_run_and_no_other(place: Place) -> None:
    place.site.policies(
        {
            "prod": {"provider": "oci", "endpoint": place.address},
            "gone": {"provider": "oci-layout", "path": str(place.state / "nowhere")},
        },
        schedules=[
            {"cron": "0 2 * * *", "registries": ["gone"]},
            {"cron": "0 2 * * *", "registries": ["prod"]},
        ],
    )
    entries = place.work(place.hours(), delete=True).history.entries()
    codes = {(entry.schedule or "").rpartition(":")[2]: entry.exit_code for entry in entries}
    assert codes == {"gone": 1, "prod": 0}
    assert place.tags("team/api") == {"1.0.0"}


# --- the state folder -------------------------------------------------------------------------------------


def test_a_run_by_hand_may_use_the_folder_between_runs(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    hours = place.hours()
    place.site.clock = place.clock
    hours.at[MIDNIGHT + timedelta(hours=1)] = lambda: place.site.run(delete=True, state_dir=str(place.state))
    entries = place.work(hours, delete=True).history.entries()
    assert [(entry.schedule, entry.exit_code) for entry in entries] == [("0 2 * * * UTC", 0), (None, 0)]


def test_a_run_that_finds_the_folder_held_waits_for_it(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    hours = place.hours()
    held = StateFolder.hold(place.state, "20260601T000000Z-abcdef")
    hours.at[MIDNIGHT + timedelta(hours=5)] = held.close
    (entry,) = place.work(hours, delete=True).history.entries()
    assert entry.exit_code == 0
    assert entry.finished_at is not None
    assert entry.finished_at >= MIDNIGHT + timedelta(hours=5)
    assert place.tags("team/api") == {"1.0.0"}


def test_it_gives_up_after_six_hours_and_says_who_had_the_folder(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    with StateFolder.hold(place.state, "20260601T000000Z-abcdef"):
        (entry,) = place.work(place.hours(), delete=True).history.entries()
    assert entry.exit_code == 1
    assert "20260601T000000Z-abcdef" in (entry.error or "")


def test_it_can_be_stopped_while_it_waits_for_the_folder(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"})
    with StateFolder.hold(place.state, "20260601T000000Z-abcdef"):
        made = place.work(place.hours(timedelta(hours=3)), delete=True)
    assert place.exit_code == 143
    assert [entry.exit_code for entry in made.history.entries()] == [143]


def test_a_second_daemon_of_one_folder_ends_at_once_but_not_of_another_shard(place: Place) -> None:
    with place.daemon(place.hours(), shard=(0, 2)):
        with pytest.raises(FileError, match="in use by a daemon"):
            place.work(place.hours(), shard=(0, 2))
        place.work(place.hours(timedelta(hours=3)), shard=(1, 2), delete=True)
    assert place.tags("team/api") | place.tags("ci/cache") == {"1.0.0", "pr-1"}


def test_a_dry_run_does_with_a_temporary_folder_where_there_is_none(place: Place) -> None:
    place.state.write_text("in the way")
    with pytest.raises(UsageError, match="nothing is deleted without one"):
        place.work(place.hours(), delete=True)
    with place.daemon(place.hours(timedelta(hours=1))) as (made, _):
        made.work()
        assert len(made.history.entries()) == 1


# --- policies ---------------------------------------------------------------------------------------------


def test_policies_that_change_are_in_force_at_the_next_run(place: Place) -> None:
    hours = place.hours()
    place.schedule({"cron": "0 2 * * *"})
    hours.at[MIDNIGHT + timedelta(hours=1)] = lambda: place.schedule(
        {"cron": "0 5 * * *"},
        rules=[{"name": "releases", "delete": {"tags": ["1.0.0"]}}],
        limits={"min_remaining": 0},
    )
    entries = place.work(hours, delete=True).history.entries()
    assert dues(entries) == [("0 5 * * * UTC", MIDNIGHT + timedelta(hours=5))]
    assert place.tags("team/api") == {"pr-1"}


@pytest.mark.parametrize("text", ["version: 1\nbogus: '\"><script>alert(1)</script>'\n", "version: 2", ""])
def test_a_broken_version_leaves_the_one_before_in_force_and_says_so(place: Place, text: str) -> None:
    hours = place.hours(timedelta(hours=4))
    place.schedule({"cron": "0 2,3 * * *"})
    hours.at[MIDNIGHT + timedelta(hours=1)] = lambda: place.policies.write_text(text)
    with place.daemon(hours, delete=True) as (made, address):
        made.work()
        page, metrics = got(address, "/"), got(address, "/metrics")
    assert Counter(entry.exit_code for entry in made.history.entries()) == {0: 2}
    assert place.tags("team/api") == {"1.0.0"}
    assert "The policy files as they are now can" in page
    assert "<script>" not in page
    assert "janitor_serve_policies_valid 0" in metrics


def test_a_version_that_schedules_nothing_is_a_broken_one(place: Place) -> None:
    hours = place.hours(timedelta(hours=4))
    hours.at[MIDNIGHT + MINUTE] = place.schedule
    with place.daemon(hours) as (made, address):
        made.work()
        assert "no schedule in" in got(address, "/")


def test_a_version_that_is_mended_is_in_force(place: Place) -> None:
    hours = place.hours(timedelta(hours=4))
    place.schedule({"cron": "0 12 * * *"})
    hours.at[MIDNIGHT + MINUTE] = lambda: place.policies.write_text("")
    hours.at[MIDNIGHT + 9 * MINUTE] = lambda: place.schedule({"cron": "0 2 * * *"})
    with place.daemon(hours) as (made, address):
        made.work()
        assert "janitor_serve_policies_valid 1" in got(address, "/metrics")
    assert len(made.history.entries()) == 1


def test_policies_are_read_anew_when_somebody_asks(place: Place) -> None:
    hours = place.hours(timedelta(hours=1))
    with place.daemon(hours) as (made, _):
        hours.at[MIDNIGHT + 10 * MINUTE] = made.ask_to_reload
        made.work()
    assert made.board.standing.loaded_at >= MIDNIGHT + 10 * MINUTE


def test_without_a_schedule_it_does_not_start(place: Place) -> None:
    place.schedule()
    with pytest.raises(UsageError, match=r"no schedule in .*policies\.yaml.*schedules: "):
        place.work(place.hours())


def test_a_schedule_that_could_only_fail_is_told_at_the_start(place: Place) -> None:
    registries = {
        "prod": {"provider": "oci", "endpoint": place.address},
        "copy": {"provider": "inventory", "path": "copy.jsonl"},
    }
    (place.site.folder / "copy.jsonl").touch()
    place.site.policies(registries, schedules=[{"cron": "0 2 * * *"}])
    with pytest.raises(UsageError, match=r"policies\.yaml:\d+: this schedule covers registry copy"):
        place.work(place.hours(), delete=True)
    place.site.policies(registries, schedules=[{"cron": "0 2 * * *", "registries": ["prod"]}])
    place.work(place.hours(), delete=True)
    assert place.tags("team/api") == {"1.0.0"}


def test_with_wrong_policies_it_does_not_start(place: Place) -> None:
    place.policies.write_text("version: 1\nbogus: 1\n")
    with pytest.raises(PolicyError, match="bogus"):
        place.work(place.hours())


def test_a_schedule_that_is_written_twice_is_one(place: Place) -> None:
    place.schedule({"cron": "0 2 * * *"}, {"cron": "0  2 * * *", "timezone": "UTC"})
    assert len(place.work(place.hours()).history.entries()) == 1
