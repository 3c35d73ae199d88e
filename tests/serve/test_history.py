"""What is kept of runs, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from janitor.files.journal import NAME, Begun, Change, Intent, Journal
from janitor.serve.history import LONGEST, MOST_CHANGING, MOST_OTHERS, Entry, History
from tests.instant import NOW


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def run_id(at: datetime, number: int = 0) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}-{number:06x}"


def entry(at: datetime, number: int = 0, *, ended: bool = True) -> Entry:
    return Entry(
        run_id=run_id(at, number),
        mode="dry-run",
        started_at=at,
        schedule="0 * * * * UTC",
        finished_at=at if ended else None,
        exit_code=0 if ended else None,
    )


def journal(folder: Path, name: str, *, ended: bool = True) -> None:
    made = Journal(folder / "runs" / name, Begun(run_id=name, lock="lock", started_at=NOW))
    intent = Intent(
        at=NOW, action=Change.DELETE, registry="prod", repository="a", digest="sha256:" + "0" * 64
    )
    made.announce([intent])
    if ended:
        made.end(NOW)
    made.close()


def test_what_is_written_is_read_the_latest_first(history: History) -> None:
    for hours in (1, 3, 2):
        history.write(entry(NOW - timedelta(hours=hours)))
    assert [(NOW - each.started_at) / timedelta(hours=1) for each in history.entries()] == [1, 2, 3]


def test_a_run_that_has_not_ended_is_read_again(history: History) -> None:
    history.write(entry(NOW, ended=False))
    assert [each.exit_code for each in history.entries()] == [None]
    history.write(entry(NOW))
    assert [each.exit_code for each in history.entries()] == [0]


@pytest.mark.parametrize(
    "run",
    ["", ".", "..", "../runs", "%2e%2e", "x", "20260601T000000Z", "20260601T000000Z-abcdef/../..", "a\0b"],
)
def test_what_is_no_id_names_no_run(history: History, run: str, tmp_path: Path) -> None:
    (tmp_path / "report.jsonl").write_text("secret")
    (tmp_path / "started.json").write_text("secret")
    history.write(entry(NOW))
    assert history.entry(run) is None
    assert history.report(run) is None


def test_what_can_not_be_read_is_left_out(history: History, tmp_path: Path) -> None:
    history.write(entry(NOW))
    for number, text in enumerate(['{"run', "[]", "\udcff"], 1):
        folder = tmp_path / "runs" / run_id(NOW, number)
        folder.mkdir()
        (folder / "started.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "runs" / "something-else").mkdir()
    assert len(history.entries()) == 1


def test_the_newest_are_kept_and_the_rest_is_taken_away(history: History) -> None:
    for number in range(MOST_OTHERS + 5):
        history.write(entry(NOW - timedelta(minutes=number)))
    history.entries()
    history.prune(NOW)
    kept = history.entries()
    assert len(kept) == MOST_OTHERS
    assert kept[-1].started_at == NOW - timedelta(minutes=MOST_OTHERS - 1)


def test_runs_that_changed_something_outlive_those_that_did_not(history: History, tmp_path: Path) -> None:
    old = run_id(NOW - timedelta(days=30))
    journal(tmp_path, old)
    history.write(entry(NOW - timedelta(days=30)))
    for number in range(MOST_OTHERS + 5):
        history.write(entry(NOW - timedelta(minutes=number)))
    history.prune(NOW)
    assert (tmp_path / "runs" / old / NAME).exists()
    assert MOST_CHANGING > MOST_OTHERS


def test_nothing_is_kept_for_ever_but_a_journal_that_nobody_ended(history: History, tmp_path: Path) -> None:
    long_ago = NOW - LONGEST - timedelta(days=1)
    journal(tmp_path, run_id(long_ago, 1))
    journal(tmp_path, run_id(long_ago, 2), ended=False)
    history.write(entry(long_ago, 3))
    history.write(entry(NOW - LONGEST, 4))
    history.prune(NOW)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        run_id(long_ago, 2),
        run_id(NOW - LONGEST, 4),
    }


def test_nothing_that_is_no_run_is_taken_away(history: History, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    (tmp_path / "runs" / run_id(NOW - timedelta(days=999))).symlink_to(elsewhere)
    history.prune(NOW)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert (elsewhere / "file").exists()
