"""Where nothing can be written down, nothing is deleted, and it is said."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.proofs.deadly import EventfulOci, changes
from tests.proofs.estate import Estate, Truth, announced, build, done, gone
from tests.proofs.warm import Warm
from tests.simulators.oci import DISTRIBUTION_3

# A user who is nobody, of no group: what is root's alone can't be written by it.
NOBODY = 65534
# Makes a manifest, and so the line that announces its deletion, larger than the files of a run that fit.
LARGE = {"note": "x" * 40_000}
LIMIT = 30_000


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as warm:
        yield warm


@pytest.fixture
def server() -> Iterator[EventfulOci]:
    with EventfulOci(flavour=DISTRIBUTION_3) as server:
        server.listen()
        yield server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, and only its owner write to."""
    folder = Path(tempfile.mkdtemp(prefix="janitor-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def estate(warm: Warm, server: EventfulOci, folder: Path) -> Estate:
    # Another user may not even look where this test's own home is.
    environ = dict.fromkeys(("HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(folder))
    return Estate(warm, folder, {"provider": "oci", "endpoint": server.address}, environ=environ)


def test_a_journal_that_can_not_be_begun_lets_nothing_be_deleted(
    warm: Warm, server: EventfulOci, tmp_path: Path
) -> None:
    server.world.push("team/app", tags=["pr-1"], created="50d", annotations=LARGE)
    server.world.push("team/app", tags=["1.0.0"], created="50d")
    before = Truth.of(server.world)
    place = estate(warm, server, tmp_path)
    ended = place.run(file_limit=LIMIT)
    assert ended.code == 1
    assert "the journal" in ended.out
    assert "can't be written: File too large" in ended.out
    assert not any(map(changes, server.kinds))
    assert Truth.of(server.world) == before
    # The next one, with room, is not held up by what was cut.
    server.listen()
    assert place.run().code == 0
    assert done(place.journals()) == gone(before, Truth.of(server.world))
    assert gone(before, Truth.of(server.world)).images


def test_a_journal_that_fills_up_in_the_middle_stops_before_the_next_deletion(
    warm: Warm, server: EventfulOci, tmp_path: Path
) -> None:
    """What was announced may be done still; what wasn't is not."""
    server.world = build(["team/app"])
    for number in range(60):
        server.world.push("team/app", tags=[f"pr-x{number}"], created="50d")
    before = Truth.of(server.world)
    place = estate(warm, server, tmp_path)
    ended = place.run(file_limit=66_000)
    assert ended.code == 1
    assert "can't be written: File too large" in ended.out
    went = gone(before, Truth.of(server.world))
    assert went.images
    assert went.images <= announced(place.journals()).images
    server.listen()
    last = place.run()
    assert last.code == 0
    assert "was cut off after" in last.out
    assert all(journal.ended and not journal.unsettled() for journal in place.journals())
    assert done(place.journals()) == gone(before, Truth.of(server.world))


def test_a_state_folder_that_another_user_can_not_write_is_exit_2(
    warm: Warm, server: EventfulOci, open_folder: Path
) -> None:
    server.world = build(["team/app"])
    before = Truth.of(server.world)
    place = estate(warm, server, open_folder)
    (open_folder / "state").mkdir(mode=0o755)
    ended = place.run(user=_somebody_else(open_folder))
    assert (ended.code, ended.out) == (2, "")
    assert f"the state folder {open_folder / 'state'} can't be written: Permission denied" in ended.err
    assert "nothing is deleted without one" in ended.err
    assert (server.kinds, Truth.of(server.world)) == ([], before)


def test_a_dry_run_goes_on_without_one_and_says_so_first(
    warm: Warm, server: EventfulOci, open_folder: Path
) -> None:
    server.world = build(["team/app"])
    place = estate(warm, server, open_folder)
    (open_folder / "state").mkdir(mode=0o755)
    job = place.job(user=_somebody_else(open_folder))
    words = tuple(word for word in job.arguments if word != "--delete")
    ended = warm.run(msgspec.structs.replace(job, arguments=words))
    assert ended.code == 0, ended.err
    assert f"{open_folder / 'state'} can't be written: Permission denied" in ended.out.splitlines()[0]
    assert "would delete" in ended.out
    assert list((open_folder / "state").iterdir()) == []


def _somebody_else(folder: Path) -> int | None:
    """Who runs it: nobody, where these tests are root's; else their own user, whose right is taken."""
    if os.geteuid() == 0:
        return NOBODY
    (folder / "state").chmod(0o555)
    return None
