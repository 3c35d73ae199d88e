"""The alerts are right, speak of metrics that there are, and come when they should, and then alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from janitor.reports.prometheus import METRICS
from tests.deploy.manifests import DEPLOY, ROOT, read

MONITORING = DEPLOY / "monitoring"
UNIT_TESTS = Path(__file__).parent / "rules"
KINDS = ["cronjob", "daemon"]

# What kube-state-metrics calls stable, and has had since its version 2.5.
FOREIGN = frozenset(
    {
        "kube_cronjob_created",
        "kube_cronjob_spec_suspend",
        "kube_cronjob_status_last_successful_time",
        "kube_deployment_status_replicas_available",
        "kube_job_failed",
        "kube_job_owner",
        "kube_job_status_start_time",
    }
)


# What the daemon adds, by the table of its page.
DAEMONS = frozenset(re.findall(r"^\| `(janitor_\w+)", (ROOT / "docs" / "serve.md").read_text(), re.MULTILINE))


def groups(kind: str) -> list[dict[str, Any]]:
    (document,) = read(MONITORING / kind / "rules.yaml")
    found: list[dict[str, Any]] = document["spec"]["groups"]
    return found


def rules(kind: str) -> list[dict[str, Any]]:
    return [rule for group in groups(kind) for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((MONITORING / "daemon" / "dashboard.json").read_text())
    found: list[dict[str, Any]] = dashboard["panels"]
    return found


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def promtool(*arguments: str, folder: Path) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer("promtool")
@pytest.mark.parametrize("kind", KINDS)
def test_the_rules_are_rules(kind: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups(kind)}))
    promtool("check", "rules", "--lint-fatal", "rules.yaml", folder=tmp_path)


@pytest.mark.peer("promtool")
@pytest.mark.parametrize("kind", KINDS)
def test_alerts_come_when_they_should_and_not_otherwise(kind: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups(kind)}))
    shutil.copy(UNIT_TESTS / f"{kind}.yaml", tmp_path / "test.yaml")
    promtool("test", "rules", "test.yaml", folder=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_alert_is_tried(kind: str) -> None:
    tried = {
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in yaml.safe_load((UNIT_TESTS / f"{kind}.yaml").read_text())["tests"]
        for case in test["alert_rule_test"]
    }
    wanted = {(rule["alert"], comes) for rule in rules(kind) if "alert" in rule for comes in (True, False)}
    assert tried == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_the_alerts_speak_of_metrics_that_there_are(kind: str) -> None:
    known = FOREIGN | {metric.name for metric in METRICS} | DAEMONS
    text = "\n".join(rule["expr"] for rule in rules(kind))
    assert set(re.findall(r"\b(?:kube|janitor)_\w+", text)) <= known


def test_the_dashboard_speaks_of_metrics_that_there_are() -> None:
    named = set(re.findall(r"\bjanitor_\w+", "\n".join(queries())))
    assert named <= {metric.name for metric in METRICS}
    assert named


@pytest.mark.peer("promtool")
def test_the_questions_of_the_dashboard_can_be_asked(tmp_path: Path) -> None:
    asked = [
        {"record": f"panel:{number}", "expr": query.replace("$namespace", "janitor")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
