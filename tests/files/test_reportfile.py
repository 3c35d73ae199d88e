from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from janitor.core.plan import Action, ActionKind, RepositoryState
from janitor.core.report import (
    ErrorReport,
    Outcome,
    OutcomeKind,
    RegistryReport,
    Report,
    RepositoryReport,
    RequestCounts,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)
from janitor.errors import FileError
from janitor.files.reportfile import read_report
from janitor.reports import renderer
from tests.factories import digest
from tests.instant import NOW

REPORT = Report(
    run_id="run-1",
    mode="delete",
    started_at=NOW,
    finished_at=NOW + timedelta(minutes=5),
    exit_code=3,
    policies=("policy.yaml",),
    totals=Totals(
        repositories=1, images=7, planned=2, deleted=1, failed=1, planned_bytes=20, deleted_bytes=10
    ),
    registries=(RegistryReport(name="prod", provider="oci", requests=RequestCounts(list=3), retries=1),),
    repositories=(
        RepositoryReport(
            registry="prod", repository="a", images=7, state=RepositoryState.LIMITED, remaining=6
        ),
    ),
    unselected=(Unselected(pattern="sha-*", images=4),),
    in_use=UseReport(
        sources=(UseSource(source="file: x", references=2),), references=2, not_found=("docker.io/a:1",)
    ),
    errors=(ErrorReport(registry="prod", repository="a", code="denied", message="no right"),),
)


def outcome(name: str, kind: OutcomeKind, detail: str | None = None) -> Outcome:
    action = Action(
        action=ActionKind.DELETE,
        registry="prod",
        repository="a",
        digest=digest(name),
        tags=(name,),
        rules=("cleanup/1",),
        reason="older than 14d",
        size_bytes=None,
        pushed_at=NOW,
    )
    return Outcome(action=action, outcome=kind, detail=detail)


OUTCOMES = (outcome("a", OutcomeKind.DELETED), outcome("b", OutcomeKind.FAILED, "the registry said no"))


def write(path: Path, outcomes: Sequence[Outcome] = OUTCOMES) -> Path:
    path.write_text("".join(renderer(str(path))(REPORT, outcomes)))
    return path


def test_a_document_is_read_back(tmp_path: Path) -> None:
    found = read_report(write(tmp_path / "report.json"))
    assert found.report == REPORT
    assert not found.has_outcomes
    assert list(found.outcomes()) == []


def test_lines_are_read_back_with_every_outcome(tmp_path: Path) -> None:
    found = read_report(write(tmp_path / "report.jsonl"))
    assert found.report == REPORT
    assert found.has_outcomes
    assert list(found.outcomes()) == list(OUTCOMES)


def test_what_a_file_is_its_content_tells(tmp_path: Path) -> None:
    path = write(tmp_path / "report.jsonl").rename(tmp_path / "yesterday")
    assert read_report(path).has_outcomes


def test_a_line_that_is_cut_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "report.jsonl")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileError, match=r"report.jsonl:8: the line is cut off"):
        read_report(path)


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "report.jsonl")
    lines = path.read_text().splitlines()
    lines[3] = '{"kind":"weather"}'
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileError, match=r"report.jsonl:4: is no line of a report"):
        read_report(path)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"kind":"plan"}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(FileError, match="is no report"):
        read_report(path)


@pytest.mark.parametrize("name", ["report.json", "report.jsonl"])
def test_a_report_of_another_version_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    path.write_text(
        path.read_text().replace('"version": 1', '"version": 2').replace('"version":1', '"version":2')
    )
    with pytest.raises(FileError, match="report of version 2"):
        read_report(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="gone can't be read"):
        read_report(tmp_path / "gone")
