"""The real program, and the signals that it is sent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from janitor.serve.history import History
from tests.cli.house import janitor
from tests.cli.test_cli_interrupt import SlowRegistry, slow_registry
from tests.serve.running import serving, write_policies
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

# Due at every minute: at the start the last one is made up.
NOW: dict[str, object] = {"cron": "* * * * *"}
NEVER: dict[str, object] = {"cron": "0 0 29 2 *"}


@pytest.fixture
def slow() -> Iterator[SlowRegistry]:
    with slow_registry() as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_run_stops_it_as_it_stops_a_run(
    slow: SlowRegistry, tmp_path: Path, number: signal.Signals
) -> None:
    policies = write_policies(tmp_path, f"http://127.0.0.1:{slow.server_port}", [NOW])
    state = tmp_path / "state"
    with serving(policies, "--state-dir", str(state)) as daemon:
        assert slow.asked.wait(60)
        assert b"under way" in urllib3.request("GET", daemon.address, retries=False).data
        daemon.process.send_signal(number)
        daemon.wait_for("stopping after")
        slow.let.set()
        assert daemon.process.wait(60) == 128 + number
        daemon.wait_for("serve.stopped")
    (entry,) = History(state).entries()
    assert entry.exit_code == 128 + number
    assert History(state).report(entry.run_id) is not None


def test_a_second_signal_is_not_waited_for(slow: SlowRegistry, tmp_path: Path) -> None:
    policies = write_policies(tmp_path, f"http://127.0.0.1:{slow.server_port}", [NOW])
    with serving(policies) as daemon:
        assert slow.asked.wait(60)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("stopping after")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(20) == 143
        assert not any("Traceback" in line for line in daemon.said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_runs_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    policies = write_policies(tmp_path, "http://127.0.0.1:1", [NEVER])
    with serving(policies) as daemon:
        daemon.wait_for("serve.started")
        daemon.process.send_signal(number)
        assert daemon.process.wait(20) == 128 + number


def test_a_hang_up_reads_the_policies_anew(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, "http://127.0.0.1:1", [NEVER])
    with serving(policies) as daemon:
        daemon.wait_for("serve.started")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("policies.loaded")
        policies.write_text("version: 1\nbogus: 1\n")
        daemon.wait_for("policies.broken")
        assert daemon.process.poll() is None


def test_it_deletes_with_delete_alone(tmp_path: Path) -> None:
    world = World()
    world.push("team/api", tags=["1.0.0"])
    world.push("team/api", tags=["pr-1"], created="60d")
    with OciServer(world, DISTRIBUTION_2) as server:
        policies = write_policies(tmp_path, server.address, [NOW])
        with serving(policies, "--state-dir", str(tmp_path / "a")) as daemon:
            daemon.wait_for("run.finished")
        assert set(world["team/api"].tags) == {"1.0.0", "pr-1"}
        with serving(policies, "--state-dir", str(tmp_path / "b"), "--delete") as daemon:
            daemon.wait_for("run.finished")
        assert set(world["team/api"].tags) == {"1.0.0"}


@pytest.mark.parametrize(
    "listen",
    ["8080", ":8080", "example.com:80", "::1:8080", "127.0.0.1:99999", "[127.0.0.1]:80", "127.0.0.1:"],
)
def test_an_address_that_is_none_is_refused(listen: str, tmp_path: Path) -> None:
    policies = write_policies(tmp_path, "http://127.0.0.1:1", [NOW])
    done = janitor("serve", str(policies), "--listen", listen)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--listen" in done.stderr


def test_no_schedule_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, "http://127.0.0.1:1", [NOW])
    policies.write_text("\n".join(line for line in policies.read_text().splitlines() if "cron" not in line))
    policies.write_text(policies.read_text().replace("schedules:\n", ""))
    done = janitor("serve", str(policies), "--listen", "127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no schedule in" in done.stderr


def test_delete_is_no_variable(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, "http://127.0.0.1:1", [NOW])
    done = janitor("serve", str(policies), "--delete", "--dry-run", env={"JANITOR_LISTEN": "127.0.0.1:0"})
    assert done.returncode == 2
    assert "opposite" in done.stderr
