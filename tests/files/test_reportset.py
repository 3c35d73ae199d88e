from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from janitor.core.report import Outcome, Report
from janitor.errors import FileError, UsageError
from janitor.files.reportset import read_reports
from janitor.reports import renderer
from tests.instant import NOW
from tests.reports.ledger import outcome, report, repository


def saved(folder: Path, name: str, shown: Report, *outcomes: Outcome) -> str:
    path = folder / name
    path.write_text("".join(renderer(name)(shown, outcomes)))
    return str(path)


def test_one_report_is_as_it_was(tmp_path: Path) -> None:
    told = (outcome("1", repository="b"), outcome("2", repository="a"))
    found = read_reports([saved(tmp_path, "one.jsonl", report(), *told)])
    assert (found.report, tuple(found.outcomes())) == (report(), told)


def test_images_of_several_stand_by_repository_in_the_order_of_the_report(tmp_path: Path) -> None:
    one = report(repository("a"), repository("c"), run_id="1")
    two = report(repository("b"), repository("d"), run_id="2")
    paths = [
        saved(
            tmp_path,
            "1.jsonl",
            one,
            *(outcome(f"{name}{n}", repository=name) for name in "ca" for n in range(3)),
        ),
        saved(
            tmp_path,
            "2.jsonl",
            two,
            *(outcome(f"{name}{n}", repository=name) for name in "bd" for n in range(2)),
        ),
    ]
    found = read_reports(paths)
    tags = [each.action.tags[0] for each in found.outcomes()]
    assert tags == ["a0", "a1", "a2", "b0", "b1", "c0", "c1", "c2", "d0", "d1"]
    assert [each.action.tags[0] for each in found.outcomes()] == tags


def test_what_a_later_run_tells_again_is_told_once(tmp_path: Path) -> None:
    old = report(repository("a"), mode="delete", run_id="1")
    new = report(repository("a"), mode="delete", run_id="2", started_at=NOW + timedelta(days=1))
    paths = [
        saved(
            tmp_path,
            "new.jsonl",
            new,
            outcome("failing", repository="a", kind="failed", detail="today"),
        ),
        saved(
            tmp_path,
            "old.jsonl",
            old,
            outcome("gone", repository="a", kind="deleted"),
            outcome("failing", repository="a", kind="failed", detail="yesterday"),
        ),
    ]
    told = [(each.action.tags, each.outcome.value, each.detail) for each in read_reports(paths).outcomes()]
    assert told == [(("gone",), "deleted", None), (("failing",), "failed", "today")]


def test_images_of_a_repository_that_no_report_lists_are_told_too(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path, "1.jsonl", report(run_id="1"), outcome("x", repository="elsewhere")),
        saved(tmp_path, "2.jsonl", report(repository("b"), run_id="2")),
    ]
    assert [each.action.repository for each in read_reports(paths).outcomes()] == ["elsewhere"]


def test_where_one_holds_no_images_none_are_told(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path, "1.jsonl", report(repository("a"), run_id="1"), outcome("x", repository="a")),
        saved(tmp_path, "2.json", report(repository("b"), run_id="2")),
    ]
    found = read_reports(paths)
    assert list(found.outcomes()) == []
    assert found.without_images == (paths[1],)


def test_one_run_is_not_counted_twice(tmp_path: Path) -> None:
    paths = [saved(tmp_path, name, report()) for name in ("a.json", "a.jsonl")]
    with pytest.raises(UsageError, match=r"a\.json and .*a\.jsonl are reports of one run"):
        read_reports(paths)


def test_dry_runs_and_deletions_do_not_add_up(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path, "dry.json", report(run_id="1")),
        saved(tmp_path, "done.json", report(run_id="2", mode="delete")),
    ]
    with pytest.raises(UsageError, match=r"dry\.json .* mode dry-run, .*done\.json .* mode delete"):
        read_reports(paths)


def test_a_file_that_is_cut_is_no_report(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, "cut.jsonl", report(), outcome("x")))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileError, match="cut off"):
        read_reports([str(path)])


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path, "1.jsonl", report(repository("a"), run_id="1"), outcome("x", repository="a")),
        saved(tmp_path, "2.jsonl", report(repository("b"), run_id="2")),
    ]
    found = read_reports(paths)
    text = Path(paths[0]).read_bytes()
    Path(paths[0]).write_bytes(text[:-2])
    with pytest.raises(FileError, match=r"1\.jsonl"):
        list(found.outcomes())
