"""What a run that was killed left open is found out before the next begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import FileError
from janitor.files.journal import NAME, Begun, Change, Intent, Journal, JournalFile, read_journal
from janitor.files.repositorystate import RepositoryStates
from janitor.files.statefolder import StateFolder
from janitor.premises import Opened
from janitor.recovering import recover
from tests.conformance.stages import EVERYTHING
from tests.factories import registry_spec
from tests.instant import NOW
from tests.journeys.inprocess import APP, WorldRegistry
from tests.simulators.world import ARM64, World


class Site:
    """A state folder after a run that was killed, and the registry as it is now."""

    def __init__(self, path: Path) -> None:
        self.world = World()
        self.registry = WorldRegistry(self.world, archives=True)
        self.path = path
        self.folder = StateFolder.hold(path, "next")
        self.states = RepositoryStates(path)
        self.journal = Journal(path / "runs" / "killed", Begun(run_id="killed", lock="lock", started_at=NOW))

    def announce(self, digest: str, change: Change = Change.DELETE, **fields: Any) -> None:
        intent = Intent(at=NOW, action=change, registry="prod", repository=APP, digest=digest, **fields)
        self.numbers = self.journal.announce([intent])

    def recover(self, *names: str) -> tuple[str, ...]:
        self.journal.close()
        opened = {
            name: Opened(
                spec=registry_spec(name), registry=self.registry, only=EVERYTHING, wanted=frozenset()
            )
            for name in (names or ("prod",))
        }
        return recover(self.folder, self.states, opened, "next", lambda: NOW)

    def read(self) -> JournalFile:
        journal = read_journal(self.path / "runs" / "killed" / NAME)
        assert journal is not None
        return journal

    def outcomes(self) -> list[OutcomeKind]:
        return [settled.outcome for settled in self.read().outcomes.values()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.folder.close()


def test_a_deletion_without_an_outcome_was_done_if_the_image_is_gone(site: Site) -> None:
    there = site.world.push(APP, tags=["1"])
    gone = site.world.push(APP, tags=["2"])
    site.world[APP].delete(gone)
    site.announce(there)
    site.announce(gone)
    (told,) = site.recover()
    assert site.outcomes() == [OutcomeKind.FAILED, OutcomeKind.DELETED]
    assert "run killed was cut off" in told
    assert "of the 2 without an outcome 1 were done and 1 were not" in told
    assert site.read().ended


def test_tags_and_the_archive_are_looked_at_too(site: Site) -> None:
    kept = site.world.push(APP, tags=["1", "2"])
    moved = site.world.push(APP, tags=["3"])
    waits = site.world.push(APP, tags=["4"])
    site.world[APP].archived[moved] = NOW
    site.announce(kept, Change.UNTAG, tags=("1", "2", "off"), remove_tags=("off",))
    site.announce(kept, Change.UNTAG, tags=("1", "2"), remove_tags=("2",))
    site.announce(moved, Change.ARCHIVE)
    site.announce(waits, Change.ARCHIVE)
    site.recover()
    assert site.outcomes() == [
        OutcomeKind.UNTAGGED,
        OutcomeKind.FAILED,
        OutcomeKind.ARCHIVED,
        OutcomeKind.FAILED,
    ]


def test_what_was_to_go_along_is_left_for_the_next_run(site: Site) -> None:
    platforms = [site.world.push(APP), site.world.push(APP, platform=ARM64)]
    index = site.world.push_index(APP, children=platforms, tags=["1"])
    site.announce(index, along=tuple(platforms), rules=("p/r",))
    site.world[APP].delete(index)
    site.recover()
    left = site.states.leftovers("prod", APP)
    assert {digest: (each.root, each.rules) for digest, each in left.items()} == dict.fromkeys(
        platforms, (index, ("p/r",))
    )


def test_nothing_is_left_of_what_was_not_done(site: Site) -> None:
    platform = site.world.push(APP)
    index = site.world.push_index(APP, children=[platform], tags=["1"])
    site.announce(index, along=(platform,))
    site.recover()
    assert site.states.leftovers("prod", APP) == {}


def test_a_run_is_recovered_once(site: Site) -> None:
    site.announce(site.world.push(APP, tags=["1"]))
    assert len(site.recover()) == 1
    assert site.recover() == ()


def test_a_run_that_ended_is_let_alone(site: Site) -> None:
    site.announce(site.world.push(APP, tags=["1"]))
    site.journal.settle(1, NOW, OutcomeKind.DELETED, None)
    site.journal.end(NOW)
    assert site.recover() == ()


def test_what_can_not_be_asked_now_is_asked_by_the_next_run(site: Site) -> None:
    platform = site.world.push(APP)
    index = site.world.push_index(APP, children=[platform], tags=["1"])
    site.announce(index, along=(platform,))
    site.world[APP].delete(index)
    (told,) = site.recover("another")
    assert "prod is not among the registries of this run" in told
    assert not site.read().ended
    assert site.states.leftovers("prod", APP) == {}
    site.recover()
    assert site.read().ended
    assert set(site.states.leftovers("prod", APP)) == {platform}


def test_a_line_that_was_cut_is_no_obstacle(site: Site) -> None:
    site.announce(site.world.push(APP, tags=["1"]))
    path = site.path / "runs" / "killed" / NAME
    with path.open("ab") as stream:
        stream.write(b'{"kind":"intent","n":2,"at":"2026-')
    site.recover()
    assert site.read().ended


def test_a_shard_that_still_runs_is_let_alone(site: Site) -> None:
    shard = StateFolder.hold(site.path, "killed", (0, 2))
    site.journal = Journal(
        site.path / "runs" / "killed", Begun(run_id="killed", lock="lock.0-of-2", started_at=NOW)
    )
    site.announce(site.world.push(APP, tags=["1"]))
    assert site.recover() == ()
    shard.close()
    assert len(site.recover()) == 1


def test_a_journal_that_can_not_be_read_stops_the_run_and_is_named(site: Site) -> None:
    folder = site.path / "runs" / "broken"
    folder.mkdir(parents=True)
    (folder / NAME).write_text("{}\n")
    with pytest.raises(FileError, match="broken"):
        site.recover()
