from __future__ import annotations

import re
from datetime import timedelta

import pytest

from janitor.core.report import (
    ErrorReport,
    RegistryReport,
    Report,
    RequestCounts,
    Totals,
    UseReport,
    UseSource,
)
from janitor.reports.prometheus import METRICS, Seen, exposition, render, successes
from tests.instant import NOW
from tests.reports.ledger import report, repository

FULL = report(
    repository("a", planned=3, deleted=2, failed=1, remaining=8),
    repository("b", planned=1, refused=1, state="limited"),
    mode="delete",
    finished_at=NOW + timedelta(seconds=90.5),
    exit_code=1,
    totals=Totals(untagged=4, archived=5, planned_bytes=1000, deleted_bytes=700),
    registries=(
        RegistryReport(
            name="prod", provider="oci", requests=RequestCounts(list=7, delete=3, other=1), retries=2
        ),
        RegistryReport(name="empty", provider="oci"),
    ),
    in_use=UseReport(sources=(UseSource(source="x"), UseSource(source="y", error="no answer"))),
    errors=(ErrorReport(registry="prod", code="denied", message="403"),),
)


def samples(shown: Report) -> dict[str, float]:
    lines = "".join(render(shown, ())).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ('janitor_last_run_timestamp_seconds{mode="delete"}', NOW.timestamp()),
        ('janitor_last_run_duration_seconds{mode="delete"}', 90.5),
        ('janitor_last_run_exit_code{mode="delete"}', 1),
        ('janitor_last_run_errors{mode="delete"}', 1),
        ('janitor_last_run_repositories{registry="prod",state="ok"}', 1),
        ('janitor_last_run_repositories{registry="prod",state="limited"}', 1),
        ('janitor_last_run_repositories{registry="empty",state="failed"}', 0),
        ('janitor_last_run_images{registry="prod"}', 20),
        ('janitor_last_run_images{registry="empty"}', 0),
        ('janitor_last_run_remaining_images{registry="prod"}', 18),
        ('janitor_last_run_planned_images{registry="prod"}', 4),
        ('janitor_last_run_deleted_images{registry="prod"}', 2),
        ('janitor_last_run_failed_images{registry="prod"}', 1),
        ('janitor_last_run_refused_images{registry="prod"}', 1),
        ('janitor_last_run_skipped_images{registry="prod"}', 0),
        ('janitor_last_run_untagged_images{mode="delete"}', 4),
        ('janitor_last_run_archived_images{mode="delete"}', 5),
        ('janitor_last_run_planned_bytes{mode="delete"}', 1000),
        ('janitor_last_run_deleted_bytes{mode="delete"}', 700),
        ('janitor_last_run_requests{registry="prod",purpose="list"}', 7),
        ('janitor_last_run_requests{registry="prod",purpose="delete"}', 3),
        ('janitor_last_run_request_retries{registry="prod"}', 2),
        ("janitor_last_run_unread_sources", 1),
    ],
)
def test_each_metric_says_what_the_report_says(name: str, value: float) -> None:
    assert samples(FULL)[name] == value


def test_every_metric_of_the_table_is_written_once_with_its_help_and_type() -> None:
    text = "".join(exposition(Seen(report=FULL, successes={"delete": NOW})))
    assert re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE) == [metric.name for metric in METRICS]
    assert re.findall(r"^# HELP (\S+) .+\.$", text, re.MULTILINE) == [metric.name for metric in METRICS]
    assert text.endswith("\n")


@pytest.mark.parametrize("code", [1, 3, 130, 143])
def test_a_run_that_did_not_do_all_says_nothing_of_the_last_success(code: int) -> None:
    shown = report(mode="delete", exit_code=code)
    assert "last_success" not in "".join(render(shown, ()))
    assert successes(shown) == {}


@pytest.mark.parametrize("mode", ["delete", "dry-run"])
def test_a_dry_run_is_no_success_of_a_deletion(mode: str) -> None:
    end = NOW + timedelta(minutes=3)
    found = samples(report(mode=mode, finished_at=end))
    successes = {name: value for name, value in found.items() if "last_success" in name}
    assert successes == {f'janitor_last_success_timestamp_seconds{{mode="{mode}"}}': end.timestamp()}


def test_who_has_seen_earlier_runs_keeps_their_success() -> None:
    text = "".join(exposition(Seen(report=FULL, successes={"delete": NOW - timedelta(days=1)})))
    earlier = int((NOW - timedelta(days=1)).timestamp())
    assert f'janitor_last_success_timestamp_seconds{{mode="delete"}} {earlier}\n' in text


def test_label_values_are_escaped() -> None:
    shown = report(registries=(RegistryReport(name='a"b\\c\nd', provider="oci"),))
    text = "".join(render(shown, ()))
    assert 'janitor_last_run_request_retries{registry="a\\"b\\\\c\\nd"} 0\n' in text
    assert all(re.fullmatch(r"# .*|[a-z_]+(\{.*\})? [0-9.]+", line) for line in text.splitlines())


def test_repositories_are_no_labels() -> None:
    many = report(*(repository(f"secret-{number}") for number in range(1000)))
    text = "".join(render(many, ()))
    assert "secret" not in text
    assert len(text) < 10_000
