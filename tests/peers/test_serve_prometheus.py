"""The real Prometheus scrapes a daemon, and takes all that it tells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.serve.running import Serving, serving, write_policies
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

_PATIENCE_S = 60.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Serving]:
    """A daemon that has run once."""
    world = World()
    world.push("team/api", tags=["1.0.0"])
    world.push("team/api", tags=["pr-1"], created="60d")
    with OciServer(world, DISTRIBUTION_2) as server:
        policies = write_policies(
            tmp_path, server.address, [{"cron": "* * * * *", "repositories": ['a"b\\c', "team/**"]}]
        )
        with serving(policies, "--state-dir", str(tmp_path / "state"), "--delete") as made:
            made.wait_for("run.finished")
            yield made


@pytest.mark.peer("promtool")
def test_promtool_finds_nothing_wrong_with_what_the_daemon_tells(daemon: Serving) -> None:
    text = urllib3.request("GET", f"{daemon.address}/metrics", retries=False).data.decode()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.peer("prometheus")
def test_prometheus_scrapes_it(daemon: Serving, tmp_path: Path) -> None:
    with prometheus(daemon.address, tmp_path) as address:
        (up,) = wanted(address, 'up{job="janitor"} == 1')
        assert up["value"][1] == "1"
        (deleted,) = wanted(address, "janitor_last_run_deleted_images")
        assert deleted["metric"]["registry"] == "prod"
        (runs,) = wanted(address, "janitor_serve_runs_total > 0")
        assert runs["metric"]["schedule"] == '* * * * * UTC repository:a"b\\c repository:team/**'
        (valid,) = wanted(address, "janitor_serve_policies_valid")
        assert valid["value"][1] == "1"


def wanted(address: str, query: str) -> list[dict[str, Any]]:
    """What a query gives, as soon as it gives something."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        response = urllib3.request("GET", f"{address}/api/v1/query", fields={"query": query}, retries=False)
        if response.status == HTTPStatus.OK:  # until it has read its empty storage it is not
            found: list[dict[str, Any]] = json.loads(response.data)["data"]["result"]
            if found:
                return found
        assert time.monotonic() < end, query
        time.sleep(0.1)


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """Start it on a free port, scraping this every second, and stop it by its process at the end."""
    settings = folder / "prometheus.yml"
    host = target.removeprefix("http://")
    settings.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f'scrape_configs: [{{job_name: janitor, static_configs: [{{targets: ["{host}"]}}]}}]\n'
    )
    command = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            assert process.stderr is not None
            address = _address(process.stderr)
            # Whatever else it says must be read, or it stops when the pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield address
        finally:
            process.kill()


def _address(log: Iterator[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if found := re.search(r"Listening on\S* address=(127\.0\.0\.1:\d+)", line.replace('"', "")):
            return f"http://{found[1]}"
    raise RuntimeError(f"prometheus did not start:\n{''.join(said)}")
