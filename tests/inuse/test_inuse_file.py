from __future__ import annotations

from pathlib import Path

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.file import FileSource
from janitor.inuse.interface import Context
from janitor.inuse.keys import FileKeys


def read(path: Path) -> SourceReading:
    return FileSource(FileKeys(file=str(path))).read(Context(), allow_empty=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in-use.txt"


def test_one_reference_a_line_counts(path: Path) -> None:
    path.write_text("ghcr.io/acme/app:1\nbusybox\n")
    reading = read(path)
    assert reading.error is None
    assert list(map(str, reading.references)) == ["ghcr.io/acme/app:1", "docker.io/library/busybox:latest"]
    assert reading.source == f"file: {path}"


def test_comments_and_blank_lines_are_nothing(path: Path) -> None:
    path.write_text("# what runs\n\n   \n  # more\nghcr.io/acme/app:1 # the app\nghcr.io/acme/b:1\t#b\n")
    reading = read(path)
    assert reading.error is None
    assert list(map(str, reading.references)) == ["ghcr.io/acme/app:1", "ghcr.io/acme/b:1"]


def test_a_byte_order_mark_and_crlf_are_fine(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfghcr.io/acme/app:1\r\n\r\nghcr.io/acme/b:1")
    reading = read(path)
    assert reading.error is None
    assert list(map(str, reading.references)) == ["ghcr.io/acme/app:1", "ghcr.io/acme/b:1"]


@pytest.mark.parametrize("line", ["ghcr.io/acme/app:1 ghcr.io/acme/b:1", "ghcr.io/acme/App:1", "app:1#x"])
def test_a_line_that_is_no_reference_closes_with_file_and_line(path: Path, line: str) -> None:
    path.write_text(f"ghcr.io/acme/good:1\n{line}\n")
    reading = read(path)
    assert str(reading.error).startswith(f"{path}:2: {line}: ")
    assert list(map(str, reading.references)) == ["ghcr.io/acme/good:1"]


def test_an_empty_file_is_an_answer_without_images(path: Path) -> None:
    path.write_text("# nothing yet\n")
    reading = read(path)
    assert reading.error is None
    assert reading.references == ()


def test_a_missing_file_closes(path: Path) -> None:
    assert read(path).error == f"{path}: No such file or directory"


def test_what_is_no_utf8_closes(path: Path) -> None:
    path.write_bytes(b"ghcr.io/acme/app:1\n\xff\n")
    assert "UTF-8" in str(read(path).error)
