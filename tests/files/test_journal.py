from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import FileError
from janitor.files.journal import (
    NAME,
    Begun,
    Change,
    Ended,
    Intent,
    Journal,
    Settled,
    complete,
    read_journal,
    was_ended,
)
from tests.instant import NOW

BEGUN = Begun(run_id="run", lock="lock", started_at=NOW)


def intent(name: str, **fields: Any) -> Intent:
    return Intent(at=NOW, action=Change.DELETE, registry="prod", repository="team/app", digest=name, **fields)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "run"


def test_what_was_announced_and_settled_is_read_again(folder: Path) -> None:
    journal = Journal(folder, BEGUN)
    kept = intent("b", tags=("1",), manifest=b"\x00{}", media_type="m", along=("c",), rules=("p/r",))
    numbers = journal.announce([intent("a"), kept])
    journal.settle(numbers["a"], NOW, OutcomeKind.DELETED, None)
    journal.end(NOW)
    journal.close()
    read = read_journal(folder / NAME)
    assert read is not None
    assert (read.begun, read.ended) == (BEGUN, True)
    assert [each.digest for each in read.intents] == ["a", "b"]
    assert (read.intents[1].manifest, read.intents[1].along) == (b"\x00{}", ("c",))
    assert [each.digest for each in read.succeeded()] == ["a"]
    assert [each.digest for each in read.unsettled()] == ["b"]
    assert was_ended(folder / NAME)


def test_nothing_is_written_before_something_is_announced(folder: Path) -> None:
    journal = Journal(folder, BEGUN)
    journal.end(NOW)
    journal.close()
    assert not folder.exists()
    assert read_journal(folder / NAME) is None


def test_a_journal_is_nobody_elses_business(folder: Path) -> None:
    journal = Journal(folder, BEGUN)
    journal.announce([intent("a")])
    journal.close()
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("lost", range(1, 60))
def test_a_line_that_was_cut_is_as_if_never_written(folder: Path, lost: int) -> None:
    journal = Journal(folder, BEGUN)
    journal.announce([intent("a")])
    journal.announce([intent("b")])
    journal.close()
    path = folder / NAME
    path.write_bytes(path.read_bytes()[:-lost])
    read = read_journal(path)
    assert read is not None
    assert [each.digest for each in read.intents] == ["a"]
    assert not was_ended(path)
    complete(read, [Settled(n=1, at=NOW, outcome=OutcomeKind.DELETED)], Ended(at=NOW, recovered_by="next"))
    again = read_journal(path)
    assert again is not None
    assert (again.unsettled(), again.ended, was_ended(path)) == ((), True, True)


def test_a_broken_line_in_the_middle_is_named(folder: Path) -> None:
    journal = Journal(folder, BEGUN)
    journal.announce([intent("a"), intent("b")])
    journal.close()
    path = folder / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(FileError, match=r"journal\.jsonl:2: is no line of a journal"):
        read_journal(path)


def test_what_is_no_journal_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_text('{"kind":"end","at":"2026-06-01T00:00:00Z"}\n')
    with pytest.raises(FileError, match=r":1: a journal\'s first line"):
        read_journal(folder / NAME)


def test_a_folder_that_can_not_be_written_lets_nothing_be_announced(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    journal = Journal(tmp_path / "runs" / "run", BEGUN)
    with pytest.raises(FileError, match="can't be written"):
        journal.announce([intent("a")])
    assert journal.trouble is not None


def test_a_full_disk_lets_nothing_more_be_announced(folder: Path) -> None:
    """A limit on the size of files stands for the disk; what was announced before stays whole."""
    child = os.fork()
    if child == 0:  # pragma: no cover - in a process of its own
        os._exit(_fill(folder))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    read = read_journal(folder / NAME)
    assert read is not None
    assert read.intents
    assert not read.ended


def _fill(folder: Path) -> int:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    journal = Journal(folder, BEGUN)
    for number in range(1000):
        try:
            journal.announce([intent(f"sha256:{number:064}")])
        except FileError:
            break
    else:
        return 1
    journal.settle(1, NOW, OutcomeKind.DELETED, None)
    try:
        journal.announce([intent("one more")])
    except FileError:
        journal.end(NOW)
        return 0 if journal.trouble else 2
    return 3
