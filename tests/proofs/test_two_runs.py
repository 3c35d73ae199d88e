"""Two runs at once on one registry: one state folder turns the second away, with two both are right."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from janitor.core.report import OutcomeKind
from tests.proofs.deadly import EventfulOci, changes
from tests.proofs.estate import USED, Estate, Truth, build, done, gone
from tests.proofs.warm import Child, Ended, Warm
from tests.simulators.oci import ZOT
from tests.simulators.world import World

ALONE = "--concurrency=1"


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as warm:
        yield warm


@pytest.fixture
def server() -> Iterator[EventfulOci]:
    with EventfulOci(flavour=msgspec.structs.replace(ZOT, page=None)) as server:
        server.listen()
        yield server


@pytest.fixture
def world() -> World:
    return build(fallback=False)


@pytest.fixture
def estate(warm: Warm, server: EventfulOci, world: World, tmp_path: Path) -> Estate:
    used = "".join(f"{server.host}/{name}:{USED}\n" for name in world.repositories)
    server.world = world.copy()
    keys = {"provider": "oci", "endpoint": server.address, "deletes_tags": True}
    return Estate(warm, tmp_path, keys, used=used)


class Pause:
    """An event: whoever asked must wait until it is let go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.over.wait(120)


def paused(estate: Estate, server: EventfulOci, at: int, state: str) -> tuple[Child, Pause]:
    """A run that waits at one of its requests."""
    pause = Pause()
    server.listen(at, pause)
    child = estate.warm.start(estate.job(ALONE, state=state))
    assert pause.reached.wait(60)
    return child, pause


def undisturbed(estate: Estate, server: EventfulOci, world: World) -> tuple[list[str], Truth]:
    """What a run asks that is alone, and what is left then."""
    ended = estate.run(ALONE)
    assert ended.code == 0, ended.err
    kinds, end = list(server.kinds), Truth.of(server.world)
    server.world = world.copy()
    estate.forget()
    return kinds, end


def outcomes(estate: Estate, state: str) -> list[tuple[str, str, str]]:
    """Repository, digest and outcome of every line of the report of the only run of a folder."""
    (path,) = (estate.folder / state / "runs").glob("*/report.jsonl")
    lines = map(json.loads, path.read_text().splitlines())
    return [
        (line["repository"], line["digest"], line["outcome"]) for line in lines if line["kind"] == "action"
    ]


def test_a_second_run_with_the_same_state_folder_ends_at_once_and_names_the_first(
    estate: Estate, server: EventfulOci
) -> None:
    first, pause = paused(estate, server, 200, "state")
    asked = len(server.kinds)
    second = estate.run(ALONE)
    assert (second.code, len(server.kinds)) == (1, asked)
    run_id = json.loads((estate.folder / "state" / "lock").read_text())["run_id"]
    assert f"in use by run {run_id} (process {first.pid} on " in second.err
    pause.over.set()
    assert first.wait().code == 0


def test_two_shards_of_one_state_folder_run_beside_one_another(
    estate: Estate, server: EventfulOci, world: World
) -> None:
    _, end = undisturbed(estate, server, world)
    server.listen()
    children = [estate.warm.start(estate.job(f"--shard={n}/2")) for n in range(2)]
    assert [child.wait().code for child in children] == [0, 0]
    assert Truth.of(server.world) == end
    assert done(estate.journals()) == gone(Truth.of(world), end)


def test_a_shard_that_is_started_twice_at_once_runs_once(estate: Estate, server: EventfulOci) -> None:
    pause = Pause()
    server.listen(20, pause)
    first = estate.warm.start(estate.job("--shard=0/2", ALONE))
    assert pause.reached.wait(60)
    asked = len(server.kinds)
    second = estate.run("--shard=0/2")
    assert (second.code, len(server.kinds)) == (1, asked)
    assert "in use by run" in second.err
    pause.over.set()
    assert first.wait().code == 0


def check(estate: Estate, server: EventfulOci, before: Truth, end: Truth, both: list[Ended]) -> None:
    """Nothing that stays is gone, every deletion is in a journal, and no outcome says what isn't so."""
    assert [each.code for each in both] == [0, 0], "".join(each.out for each in both)
    now = Truth.of(server.world)
    assert now == end
    journals = [journal for state in ("state-one", "state-other") for journal in estate.journals(state)]
    assert all(journal.ended and not journal.unsettled() for journal in journals)
    assert done(journals) == gone(before, now)
    for state in ("state-one", "state-other"):
        for repository, digest, outcome in outcomes(estate, state):
            there = (repository, digest) in now.images
            if outcome == OutcomeKind.DELETED:
                assert not there
            elif outcome == OutcomeKind.UNTAGGED:
                assert there
            else:
                assert outcome == OutcomeKind.SKIPPED


@pytest.mark.parametrize("part", range(2))
def test_while_one_run_waits_another_with_its_own_folder_does_all_of_it(
    estate: Estate, server: EventfulOci, world: World, part: int
) -> None:
    """The first comes back to a registry that has changed under it."""
    kinds, end = undisturbed(estate, server, world)
    deletions = [at for at, kind in enumerate(kinds) if changes(kind)]
    readings = [at for at, kind in enumerate(kinds) if not changes(kind)]
    for at in [*deletions[part * 5 :: 14], *readings[20 + part * 80 :: 160]]:
        server.world = world.copy()
        estate.forget()
        first, pause = paused(estate, server, at, "state-one")
        other = estate.run(ALONE, state="state-other")
        pause.over.set()
        check(estate, server, Truth.of(world), end, [first.wait(), other])


def test_two_runs_race_and_both_are_right(estate: Estate, server: EventfulOci, world: World) -> None:
    _, end = undisturbed(estate, server, world)
    for _ in range(3):
        server.world = world.copy()
        estate.forget()
        server.listen()
        children = [estate.warm.start(estate.job(state=state)) for state in ("state-one", "state-other")]
        check(estate, server, Truth.of(world), end, [child.wait() for child in children])
