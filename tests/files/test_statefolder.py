from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from janitor.errors import FileError
from janitor.files.statefolder import (
    StateFolder,
    default_folder,
    run_folder,
    run_ids,
    safe_name,
    why_unwritable,
)


def test_the_default_is_below_the_state_home() -> None:
    assert default_folder({"XDG_STATE_HOME": "/var/state", "HOME": "/home/me"}) == Path("/var/state/janitor")


@pytest.mark.parametrize("unusable", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_without_a_state_home_it_is_below_the_home(unusable: dict[str, str]) -> None:
    assert default_folder({"HOME": "/home/me", **unusable}) == Path("/home/me/.local/state/janitor")


def test_without_any_home_a_folder_must_be_given() -> None:
    with pytest.raises(FileError, match="--state-dir"):
        default_folder({})


def test_the_folder_is_made_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "janitor"
    with StateFolder.hold(path, "run-1"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "lock").stat().st_mode) == 0o600


def test_a_held_lock_names_its_holder_at_once(tmp_path: Path) -> None:
    with StateFolder.hold(tmp_path, "run-1"), pytest.raises(FileError) as caught:
        StateFolder.hold(tmp_path, "run-2")
    assert "run run-1" in caught.value.message
    assert f"process {os.getpid()}" in caught.value.message


def test_a_lock_that_was_given_back_can_be_taken(tmp_path: Path) -> None:
    folder = StateFolder.hold(tmp_path, "run-1")
    folder.close()
    folder.close()
    StateFolder.hold(tmp_path, "run-2").close()


def test_a_lock_whose_holder_was_killed_can_be_taken(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from janitor.files.statefolder import StateFolder\n"
        "held = StateFolder.hold(pathlib.Path(sys.argv[1]), 'run-1')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == -9
    assert "run-1" in (tmp_path / "lock").read_text()
    StateFolder.hold(tmp_path, "run-2").close()


def test_each_shard_has_a_lock_of_its_own(tmp_path: Path) -> None:
    with (
        StateFolder.hold(tmp_path, "run-1", (0, 2)),
        StateFolder.hold(tmp_path, "run-2", (1, 2)),
        pytest.raises(FileError, match="run run-1"),
    ):
        StateFolder.hold(tmp_path, "run-3", (0, 2))


def test_a_lock_that_is_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lock").symlink_to(victim)
    with pytest.raises(FileError, match="can't be locked"):
        StateFolder.hold(tmp_path / "state", "run-1")
    assert victim.read_text() == "precious"


def test_a_folder_that_can_be_written_has_nothing_against_it(tmp_path: Path) -> None:
    assert why_unwritable(tmp_path / "new") is None
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_can_not_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reason = why_unwritable(tmp_path / "file")
    assert reason is not None
    assert str(tmp_path / "file") in reason
    with pytest.raises(FileError, match="can't be written"):
        StateFolder.hold(tmp_path / "file" / "below", "run-1")


def test_each_run_has_a_folder(tmp_path: Path) -> None:
    assert run_ids(tmp_path) == ()
    with StateFolder.hold(tmp_path, "run-2") as state:
        assert state.run_folder("run-2") == tmp_path / "runs" / "run-2"
        state.run_folder("run-1")
    assert run_ids(tmp_path) == ("run-1", "run-2")


@pytest.mark.parametrize("wrong", ["", ".", "..", "../x", "a/b", ".hidden", "a\n", "x" * 101])
def test_what_is_no_run_id_is_no_folder(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(FileError, match="is no run id"):
        run_folder(tmp_path, wrong)


@pytest.mark.parametrize(
    ("registry", "repository"),
    [("prod", "../../etc/passwd"), ("..", ".."), ("", ""), ("a/b", "c\n\0d"), ("x" * 300, "y" * 3000)],
)
def test_any_name_becomes_a_file_name(registry: str, repository: str) -> None:
    name = safe_name(registry, repository)
    assert name == Path(name).name
    assert not name.startswith(".")
    assert len(name) < 200
    assert name.isprintable()


def test_different_repositories_have_different_file_names() -> None:
    pairs = [("a", "b_c"), ("a_b", "c"), ("a", "b/c"), ("a", "B/c"), ("a/b", "c")]
    assert len({safe_name(*pair) for pair in pairs}) == len(pairs)
