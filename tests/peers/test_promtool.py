"""The metrics are what Prometheus itself calls right."""

from __future__ import annotations

import subprocess

import pytest

from janitor.reports.prometheus import Seen, exposition
from tests.instant import NOW
from tests.reports.test_reports_prometheus import FULL

pytestmark = pytest.mark.peer("promtool")


def test_promtool_finds_nothing_wrong_with_the_metrics() -> None:
    text = "".join(exposition(Seen(report=FULL, successes={"delete": NOW, "dry-run": NOW})))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
