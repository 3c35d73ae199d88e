from __future__ import annotations

import json
from pathlib import Path

import pytest

from janitor.cli.app import janitor
from janitor.core.report import Report, Totals
from janitor.reports import FORMATS, renderer
from tests.cli.house import call
from tests.reports.ledger import outcome, report, repository


def saved(folder: Path, name: str, shown: Report) -> str:
    """A report with an image in each of its repositories."""
    path = folder / name
    outcomes = [outcome(f"pr-{each.repository}", repository=each.repository) for each in shown.repositories]
    path.write_text("".join(renderer(name)(shown, outcomes)))
    return str(path)


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    return [
        saved(tmp_path, f"{name}.jsonl", report(repository(name, planned=1, remaining=9), run_id=name))
        for name in ("a", "b", "c")
    ]


def test_a_saved_report_is_shown_as_the_run_showed_it(shards: list[str]) -> None:
    done = call(janitor, "report", shards[0])
    assert done.exit_code == 0, done.output
    assert "prod/a" in done.stdout
    assert "pr-a" in done.stdout
    assert "would delete 1 image (1.0 MiB at most, layers are shared) of 10 in 1 repository" in done.stdout


def test_several_are_shown_as_one(shards: list[str]) -> None:
    done = call(janitor, "report", *shards)
    assert "would delete 3 images (3.0 MiB at most, layers are shared) of 30 in 3 repositories" in done.stdout
    assert [done.stdout.index(f"pr-{name}") for name in "abc"] == sorted(
        done.stdout.index(f"pr-{name}") for name in "abc"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_form_can_be_written_again(shards: list[str], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"again{suffix}"
    done = call(janitor, "report", shards[0], "--report", str(path))
    assert done.exit_code == 0, done.output
    text = path.read_text()
    assert text
    if suffix in {".json", ".jsonl"}:
        original = Path(shards[0]).read_text()
        assert text == original if suffix == ".jsonl" else json.loads(text)["run_id"] == "a"


def test_what_was_merged_can_be_merged_again(shards: list[str], tmp_path: Path) -> None:
    two, all_at_once, in_steps = (str(tmp_path / name) for name in ("two.jsonl", "all.jsonl", "steps.jsonl"))
    call(janitor, "report", *shards, "--report", all_at_once)
    call(janitor, "report", *shards[:2], "--report", two)
    assert call(janitor, "report", two, shards[2], "--report", in_steps).exit_code == 0
    assert Path(in_steps).read_text() == Path(all_at_once).read_text()


def test_a_document_is_told_by_its_counts_and_says_that_it_holds_no_images(tmp_path: Path) -> None:
    totals = Totals(repositories=2, images=20, planned=5, planned_bytes=2**30)
    shown = report(
        repository("a", planned=3, remaining=7), repository("b", planned=2, state="limited"), totals=totals
    )
    done = call(janitor, "report", saved(tmp_path, "page.json", shown))
    assert done.exit_code == 0
    assert "page.json holds no single images, so none are shown" in done.stdout
    assert "would delete 3 images (1.0 GiB at most, layers are shared) of 20 in 2 repositories" in done.stdout
    assert "stopped: 2 images" in done.stdout


def test_a_report_of_a_failed_run_is_no_failure_to_show_it(tmp_path: Path) -> None:
    path = saved(tmp_path, "failed.jsonl", report(exit_code=1))
    assert call(janitor, "report", path).exit_code == 0


def test_what_is_read_is_not_written_over(shards: list[str]) -> None:
    before = Path(shards[0]).read_text()
    done = call(janitor, "report", *shards, "--report", shards[0])
    assert done.exit_code == 2
    assert "would be written over" in done.stderr
    assert Path(shards[0]).read_text() == before


@pytest.mark.parametrize("what", ["missing", "foreign"])
def test_what_is_no_report_is_told_in_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if what == "foreign":
        path.write_text('{"a": 1}')
    done = call(janitor, "report", str(path))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {path}")
    assert done.stderr.count("\n") == 1


def test_one_run_is_not_counted_twice(shards: list[str]) -> None:
    done = call(janitor, "report", shards[0], shards[0])
    assert done.exit_code == 2
    assert "are reports of one run" in done.stderr


def test_reports_are_wanted() -> None:
    assert call(janitor, "report").exit_code == 2
