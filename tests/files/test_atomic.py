from __future__ import annotations

import stat
from pathlib import Path

import pytest

from janitor.errors import FileError
from janitor.files.atomic import PRIVATE, replacing, write_atomically


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "plan.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["plan.jsonl"]


def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "plan.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as stream:
            stream.write(b"ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["plan.jsonl"]


def test_a_last_look_can_stop_the_rename(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "index.json"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def refuse() -> None:
        raise FileError("changed meanwhile")

    with pytest.raises(FileError, match="changed meanwhile"), replacing(path, just_before=refuse) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["index.json"]


def test_a_mode_that_is_asked_for_is_exact(tmp_path: Path) -> None:
    write_atomically(tmp_path / "state", b"", mode=PRIVATE)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == PRIVATE


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(b"old")
    path.chmod(0o664)
    with replacing(path, like=path.stat()) as stream:
        stream.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_atomically(Path("/dev/null"), b"data")
    assert not Path("/dev/null").is_file()


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"missing/plan can't be written: No such file"):
        write_atomically(tmp_path / "missing" / "plan", b"")
