from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from janitor.core.image import Image, ImageType
from janitor.core.known import Known
from janitor.files.repositorystate import RepositoryStates
from tests.factories import digest, image
from tests.instant import NOW

KNOWN = {
    digest("index"): Known(type=ImageType.INDEX, children=(digest("amd"), digest("arm")), created_at=NOW),
    digest("signature"): Known(subject=digest("index"), labels={"a": "b"}, annotations={"c": "d"}),
}
LATER = NOW + timedelta(days=1)
MUCH_LATER = NOW + timedelta(days=2)


@pytest.fixture
def states(tmp_path: Path) -> RepositoryStates:
    return RepositoryStates(tmp_path / "state")


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def only_file(folder: Path) -> Path:
    [path] = (each for each in folder.rglob("*") if each.is_file())
    return path


def placed(states: RepositoryStates, *images: Image, days: int = 0) -> tuple[Image, ...]:
    return states.placed("prod", "team/app", images, NOW + timedelta(days=days))


def plain(*tags: str, **fields: object) -> Image:
    """An image of a registry that records no times of its own."""
    return image(*tags, **{"pushed": None, "created": "100d", **fields})  # type: ignore[arg-type]  # keywords of image()


def test_what_was_kept_is_recalled(states: RepositoryStates) -> None:
    states.keep("prod", "team/app", KNOWN)
    assert states.recall("prod", "team/app") == KNOWN
    assert states.recall("prod", "team/web") == {}
    assert states.recall("other", "team/app") == {}


def test_another_run_recalls_it(states: RepositoryStates, state_folder: Path) -> None:
    states.keep("prod", "team/app", KNOWN)
    assert RepositoryStates(state_folder).recall("prod", "team/app") == KNOWN


def test_what_is_gone_is_forgotten(states: RepositoryStates) -> None:
    states.keep("prod", "team/app", KNOWN)
    states.keep("prod", "team/app", {digest("signature"): KNOWN[digest("signature")]})
    assert set(states.recall("prod", "team/app")) == {digest("signature")}


def test_files_are_the_owners_alone(states: RepositoryStates, state_folder: Path) -> None:
    states.keep("prod", "team/app", KNOWN)
    assert only_file(state_folder).stat().st_mode & 0o777 == 0o600


def test_what_says_nothing_new_is_not_written_again(states: RepositoryStates, state_folder: Path) -> None:
    states.keep("prod", "team/app", KNOWN)
    before = only_file(state_folder).stat()
    states.keep("prod", "team/app", dict(reversed(KNOWN.items())))
    assert only_file(state_folder).stat().st_ino == before.st_ino


@pytest.mark.parametrize("place", [0, 3, 64, 65, 200, -1])
def test_a_flipped_bit_makes_a_file_count_as_none(
    states: RepositoryStates, state_folder: Path, place: int
) -> None:
    states.keep("prod", "team/app", KNOWN)
    path = only_file(state_folder)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert states.recall("prod", "team/app") == {}


@pytest.mark.parametrize("kept", [0, 10, 65, 200])
def test_a_torn_file_counts_as_none(states: RepositoryStates, state_folder: Path, kept: int) -> None:
    states.keep("prod", "team/app", KNOWN)
    path = only_file(state_folder)
    path.write_bytes(path.read_bytes()[:kept])
    assert states.recall("prod", "team/app") == {}
    states.keep("prod", "team/app", KNOWN)
    assert states.recall("prod", "team/app") == KNOWN


def test_the_file_of_another_repository_counts_as_none(states: RepositoryStates, state_folder: Path) -> None:
    states.keep("prod", "team/app", KNOWN)
    first = only_file(state_folder)
    states.keep("prod", "team/web", {})
    [second] = (each for each in first.parent.iterdir() if each != first)
    shutil.copy(first, second)
    assert states.recall("prod", "team/web") == {}


@pytest.mark.parametrize(
    "wrong", [{"index": Known()}, {digest("a"): Known(children=("amd",))}, {digest("a"): Known(subject="x")}]
)
def test_what_is_no_digest_is_not_believed(states: RepositoryStates, wrong: dict[str, Known]) -> None:
    states.keep("prod", "team/app", wrong)
    assert states.recall("prod", "team/app") == {}


def test_without_a_folder_nothing_is_kept() -> None:
    states = RepositoryStates(None)
    states.keep("prod", "team/app", KNOWN)
    assert states.recall("prod", "team/app") == {}
    assert placed(states, plain("1.0")) == (plain("1.0"),)
    assert states.trouble is None


def test_a_folder_that_can_not_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    states = RepositoryStates(tmp_path / "file")
    states.keep("prod", "team/app", KNOWN)
    assert states.recall("prod", "team/app") == {}
    assert states.trouble is not None


def test_what_was_there_at_the_first_meeting_gets_no_time(states: RepositoryStates) -> None:
    assert placed(states, plain("1.0")) == (plain("1.0"),)
    assert placed(states, plain("1.0"), days=1) == (plain("1.0"),)


def test_a_digest_that_appears_later_counts_as_placed_then(states: RepositoryStates) -> None:
    placed(states, plain("1.0"))
    [_, new] = placed(states, plain("1.0"), plain(), days=1)
    assert new.tagged_at == LATER
    [_, new] = placed(states, plain("1.0"), plain(), days=2)
    assert new.tagged_at == LATER


def test_a_tag_that_appears_later_counts_as_placed_then(states: RepositoryStates) -> None:
    placed(states, plain("1.0", id="a"))
    [promoted] = placed(states, plain("1.0", "prod", id="a"), days=1)
    assert promoted.tagged_at == LATER


def test_a_tag_that_moves_counts_as_placed_on_its_new_digest(states: RepositoryStates) -> None:
    placed(states, plain("edge", id="a"), plain("1.0", id="b"))
    [old, new] = placed(states, plain(id="a"), plain("1.0", "edge", id="b"), days=1)
    assert (old.tagged_at, new.tagged_at) == (None, LATER)
    [back, _] = placed(states, plain("edge", id="a"), plain("1.0", id="b"), days=2)
    assert back.tagged_at == MUCH_LATER


def test_what_comes_back_counts_as_placed_then(states: RepositoryStates) -> None:
    placed(states, plain("1.0"))
    placed(states, days=1)
    [back] = placed(states, plain("1.0"), days=2)
    assert back.tagged_at == MUCH_LATER


def test_a_time_that_the_registry_records_stands(states: RepositoryStates) -> None:
    placed(states)
    tagged = plain("1.0", tagged="50d")
    assert placed(states, tagged, days=1) == (tagged,)
    pushed = image(pushed="50d")
    assert placed(states, tagged, pushed, days=1) == (tagged, pushed)


def test_a_recorded_push_says_nothing_of_a_tag_placed_later(states: RepositoryStates) -> None:
    placed(states, image(id="a", pushed="50d"))
    [retagged] = placed(states, image("prod", id="a", pushed="50d"), days=1)
    assert retagged.tagged_at == LATER


def test_manifests_and_first_seen_times_do_not_disturb_one_another(states: RepositoryStates) -> None:
    placed(states, plain("1.0"))
    states.keep("prod", "team/app", KNOWN)
    [_, new] = placed(states, plain("1.0"), plain(), days=1)
    assert new.tagged_at == LATER
    assert states.recall("prod", "team/app") == KNOWN
