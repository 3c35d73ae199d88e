from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from janitor.core.plan import Action, ActionKind, PlanHeader, RepositoryPlan, RepositoryState, Summary
from janitor.errors import FileError
from janitor.files.planfile import PlanWriter, encode_line, read_plan
from tests.factories import digest
from tests.instant import NOW

HEADER = PlanHeader(created_at=NOW + timedelta(hours=1), now=NOW, policies_sha256="0" * 64)


def action(name: str = "pr-1", kind: ActionKind = ActionKind.DELETE, **fields: Any) -> Action:
    usual: dict[str, Any] = {
        "registry": "prod",
        "repository": "team/app",
        "digest": digest(name),
        "tags": (name,),
        "rules": ("cleanup/old",),
        "reason": "older than 14d",
        "size_bytes": 123,
        "pushed_at": NOW,
    }
    return Action(action=kind, **usual | fields)


def plan_bytes(*, summary: Summary | None = None) -> bytes:
    stream = io.BytesIO()
    writer = PlanWriter(stream, HEADER)
    writer.repository(RepositoryPlan(registry="prod", repository="team/app", images=12))
    writer.action(action())
    writer.actions(
        encode_line(action("1.0", ActionKind.UNTAG, remove_tags=("1.0",)))
        + encode_line(action("2.0", ActionKind.ARCHIVE, pushed_at=None))
    )
    writer.repository(
        RepositoryPlan(
            registry="prod",
            repository="team/web",
            images=0,
            state=RepositoryState.FAILED,
            detail="unreachable",
        )
    )
    writer.close(summary or Summary(repositories=2, images=12, delete=1, untag=1, archive=1, freed_bytes=246))
    return stream.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "plan.jsonl"
    path.write_bytes(plan_bytes())
    return path


def test_what_was_written_is_read(path: Path) -> None:
    with read_plan(path) as plan:
        assert plan.header == HEADER
        assert plan.summary.delete == 1
        assert list(plan.actions()) == [
            action(),
            action("1.0", ActionKind.UNTAG, remove_tags=("1.0",)),
            action("2.0", ActionKind.ARCHIVE, pushed_at=None),
        ]
        kinds = [type(line).__name__ for line in plan.lines()]
        assert kinds == ["RepositoryPlan", "Action", "Action", "Action", "RepositoryPlan"]


def test_the_lines_have_the_keys_that_other_programs_rely_on(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(lines[0]) == ["kind", "version", "created_at", "now", "policies_sha256"]
    assert list(lines[1]) == ["kind", "registry", "repository", "images", "state", "detail"]
    fields = ["registry", "repository", "digest", "tags", "rules", "reason", "size_bytes", "pushed_at"]
    assert list(lines[2]) == ["kind", "action", *fields]
    assert lines[3]["remove_tags"] == ["1.0"]
    counts = ["repositories", "images", "delete", "untag", "archive", "freed_bytes", "sha256"]
    assert list(lines[-1]) == ["kind", *counts]
    assert lines[2]["pushed_at"] == "2026-06-01T00:00:00Z"


def test_the_hash_is_of_every_byte_before_the_last_line(path: Path) -> None:
    data = path.read_bytes()
    body = data[: data.rindex(b"\n", 0, -1) + 1]
    assert json.loads(data[len(body) :])["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_plan_without_its_last_line_is_refused(path: Path, cut: int) -> None:
    data = path.read_bytes()
    last = data.rindex(b"\n", 0, -1) + 1
    path.write_bytes(data[: max(last - cut + 1, 0)])
    with pytest.raises(FileError, match=r"ends without its last line|is cut off"):
        read_plan(path)


def test_a_last_line_that_is_cut_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileError, match=r"plan.jsonl:7: the line is cut off"):
        read_plan(path)


def test_one_changed_byte_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"older than 14d"', b'"older than 15d"', 1))
    with pytest.raises(FileError, match=r"plan.jsonl:7: .*SHA-256 differs"):
        read_plan(path)


def test_a_line_taken_out_is_refused(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(FileError, match="SHA-256 differs"):
        read_plan(path)


def test_a_summary_that_counts_other_lines_is_refused(tmp_path: Path) -> None:
    body = encode_line(HEADER)
    summary = Summary(delete=1, sha256=hashlib.sha256(body).hexdigest())
    path = tmp_path / "plan.jsonl"
    path.write_bytes(body + encode_line(summary))
    with pytest.raises(FileError, match=r"plan.jsonl:2: the summary counts other lines"):
        read_plan(path)


def test_a_writer_does_not_write_a_summary_that_readers_would_refuse() -> None:
    with pytest.raises(ValueError, match="3 were written"):
        plan_bytes(summary=Summary(repositories=2, delete=1))


def test_something_after_the_summary_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + encode_line(action()))
    with pytest.raises(FileError, match=r"plan.jsonl:8: something follows the summary"):
        read_plan(path)


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"kind":"other"}', b"[]", b'{"kind":"action","action":"burn"}', b"\xff"]
)
def test_a_line_that_is_none_is_named(path: Path, line: bytes) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[2] = line
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(FileError, match=r"plan.jsonl:3: is no line of a plan"):
        read_plan(path)


def test_a_plan_must_begin_with_its_header(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(FileError, match=r"plan.jsonl:1: a plan's first line"):
        read_plan(path)


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    PlanWriter(stream, msgspec.structs.replace(HEADER, version=2)).close(Summary())
    path = tmp_path / "plan.jsonl"
    path.write_bytes(stream.getvalue())
    with pytest.raises(FileError, match="plan of version 2"):
        read_plan(path)


def test_an_empty_file_is_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    path.touch()
    with pytest.raises(FileError, match="is empty"):
        read_plan(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone.jsonl can't be read: No such file"):
        read_plan(tmp_path / "gone.jsonl")


def test_what_was_verified_is_what_is_read_even_when_the_file_is_replaced(path: Path) -> None:
    with read_plan(path) as plan:
        path.unlink()
        path.write_bytes(b"something else\n")
        assert len(list(plan.actions())) == 3


def test_a_plan_can_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(plan_bytes(),))
    writer.start()
    with read_plan(pipe) as plan:
        assert len(list(plan.actions())) == 3
    writer.join()


def test_times_keep_their_instant(path: Path) -> None:
    with read_plan(path) as plan:
        assert isinstance(plan.header.now, datetime)
        assert plan.header.now == NOW
