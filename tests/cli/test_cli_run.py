from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from janitor.cli.app import janitor
from tests.cli.house import call
from tests.cli.house import janitor as program
from tests.cli.sample import POLICY, prepared, write_inventory, write_policy

THEN = "2026-06-01T00:00:00Z"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--delete", "--dry-run"], "--delete and --dry-run ask for opposite things"),
        (["--delete", "--now", THEN], "--delete judges by the clock, not by --now"),
        (
            ["--report", "a.txt"],
            "the report 'a.txt' ends in .txt, which is no format: use one of .json .jsonl .csv",
        ),
        (["--report", "-"], "the report '-' has no suffix"),
        (["--report", "a.json", "--plan", "./a.json"], "a.json would be written twice"),
        (["--report", "a.json", "--report", "a.json"], "a.json would be written twice"),
        (["--report", "nowhere/a.json"], "nowhere/a.json can't be written"),
        (["--registry", ""], "invalid value for '--registry': it is empty"),
        (["--repository", ""], "invalid value for '--repository': it is empty"),
        (["--registry", "lost"], "lost"),
    ],
)
def test_a_command_that_can_not_be_meant_is_refused_before_anything_is_done(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = prepared(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = call(janitor, "run", policy, *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_only_read_is_never_deleted_in(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--delete")
    assert result.exit_code == 2
    assert "prod" in result.stderr
    assert "only read" in result.stderr


def test_no_variable_makes_a_run_delete(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, env={"JANITOR_DELETE": "1"})
    assert result.exit_code == 0
    assert "nothing was deleted; add --delete to do so" in result.stdout


def test_a_variable_can_keep_a_run_from_deleting(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--delete", env={"JANITOR_DRY_RUN": "1"})
    assert result.exit_code == 2
    assert "--delete and --dry-run ask for opposite things" in result.stderr


def test_a_dry_run_shows_what_would_go_and_why(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("prod/services/api  20 images, 4 planned")
    assert sum(line.startswith("  delete   pr-") for line in lines) == 4
    assert "100d" in lines[1]
    assert "services/pull-requests" in lines[1]
    assert lines[-3].startswith(
        "would delete 4 images (4.0 MiB at most, layers are shared) of 20 in 1 repository"
    )
    assert lines[-2].startswith("16 images stay because no rule selects: ")
    assert lines[-1] == "nothing was deleted; add --delete to do so"


def test_verbose_shows_what_stays_too(tmp_path: Path) -> None:
    text = call(janitor, "run", prepared(tmp_path), "--now", THEN, "-v").stdout
    assert text.count("\n  stays ") == 16


def test_quiet_shows_the_closing_lines_alone(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, "-q")
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == ""


def test_results_go_to_standard_output_and_progress_to_standard_error(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, "--log-format", "json")
    assert all(json.loads(line)["event"] for line in result.stderr.splitlines())
    assert "{" not in result.stdout.splitlines()[0]


def test_a_run_writes_its_plan_and_its_reports(tmp_path: Path) -> None:
    policy = prepared(tmp_path)
    files = {suffix: tmp_path / f"out{suffix}" for suffix in (".json", ".jsonl", ".csv")}
    plan = tmp_path / "plan.jsonl"
    reports = [each for file in files.values() for each in ("--report", str(file))]
    result = call(janitor, "run", policy, "--now", THEN, "--plan", str(plan), *reports)
    assert result.exit_code == 0
    assert json.loads(files[".json"].read_text())["totals"]["planned"] == 4
    kinds = [json.loads(line)["kind"] for line in files[".jsonl"].read_text().splitlines()]
    assert kinds.count("action") == 4
    with files[".csv"].open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 4
    assert json.loads(plan.read_text().splitlines()[-1])["delete"] == 4


def test_options_can_be_variables(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    result = call(
        janitor,
        "run",
        prepared(tmp_path),
        env={"JANITOR_NOW": THEN, "JANITOR_REPORT": str(report), "JANITOR_MAX_PERCENT": "10"},
    )
    assert result.exit_code == 3
    assert json.loads(report.read_text())["exit_code"] == 3


def test_a_limit_says_what_it_stopped_and_exits_3(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, "--max-deletions", "3")
    assert result.exit_code == 3
    assert "\n  stopped  " in result.stdout
    assert "would delete 0 images" in result.stdout
    assert "stopped: 4 images" in result.stdout


def test_a_repository_that_is_not_asked_for_is_not_listed(tmp_path: Path) -> None:
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, "--repository", "other/**")
    assert "would delete 0 images of 0 in 0 repositories" in result.stdout


def test_a_dry_run_without_a_state_folder_says_so_in_its_first_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = call(janitor, "run", prepared(tmp_path), "--now", THEN, "--state-dir", str(blocked))
    assert result.exit_code == 0
    assert result.stdout.startswith("dry run: ")
    assert str(blocked) in result.stdout.splitlines()[0]


def test_a_registry_that_can_not_be_read_is_exit_1_and_says_so(tmp_path: Path) -> None:
    result = call(janitor, "run", write_policy(tmp_path), "--now", THEN)
    assert result.exit_code == 1
    assert "error:  prod: " in result.stdout


def test_mistakes_of_policies_are_exit_2_at_their_places(tmp_path: Path) -> None:
    write_inventory(tmp_path)
    policy = write_policy(tmp_path, POLICY.replace("older_than", "newer_than"))
    result = call(janitor, "run", policy)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"{policy}:10:")


def test_inventory_writes_what_can_be_read_again(tmp_path: Path) -> None:
    policy = prepared(tmp_path)
    copy = tmp_path / "copy.jsonl"
    result = call(janitor, "inventory", policy, "-o", str(copy))
    assert result.exit_code == 0
    assert result.stdout == f"wrote 20 images of 1 repository to {copy}\n"
    assert len(copy.read_text().splitlines()) == 20
    missing = call(janitor, "inventory", policy)
    assert missing.exit_code == 2
    assert "--output" in missing.stderr


def test_an_inventory_of_what_can_not_be_read_names_it(tmp_path: Path) -> None:
    result = call(janitor, "inventory", write_policy(tmp_path), "-o", str(tmp_path / "copy.jsonl"))
    assert result.exit_code == 1
    assert result.stdout.startswith("error: prod: ")


def test_the_real_program_runs(tmp_path: Path) -> None:
    done = program("run", prepared(tmp_path), "--now", THEN, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("would delete 4 images")
