"""A run that is asked to stop ends what it sent, writes everything down, and the next one goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from tests.proofs.deadly import EventfulOci, changes
from tests.proofs.estate import Estate, Truth, done, gone
from tests.proofs.warm import Ended, Warm
from tests.simulators.oci import DISTRIBUTION_3
from tests.simulators.world import ARM64, World

NAMES = tuple(f"team/{letter}" for letter in "abcdef")
AT_ONCE = 4


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as warm:
        yield warm


@pytest.fixture
def server() -> Iterator[EventfulOci]:
    with EventfulOci(flavour=DISTRIBUTION_3) as server:
        server.listen()
        for name in NAMES:
            fill(server.world, name)
        yield server


@pytest.fixture
def estate(warm: Warm, server: EventfulOci, tmp_path: Path) -> Estate:
    # The program's clock is the machine's; of its ages only that they are long past matters.
    return Estate(
        warm, tmp_path, {"provider": "oci", "endpoint": server.address}, limits={"max_percent": 100}
    )


def fill(world: World, name: str) -> None:
    world.push(name, tags=["1.0.0"], created="900d")
    for number in range(5):
        pair = [world.push(name, created="900d"), world.push(name, created="900d", platform=ARM64)]
        world.push_index(name, children=pair, tags=[f"pr-{number}"], created=f"{900 + number}d")


class Asking:
    """An event: the run with this pid is asked to stop."""

    def __init__(self, number: signal.Signals) -> None:
        self.pid: Future[int] = Future()
        self._number = number

    def __call__(self) -> None:
        os.kill(self.pid.result(timeout=30), self._number)


def stopped_at(estate: Estate, server: EventfulOci, at: int, number: signal.Signals) -> Ended:
    asking = Asking(number)
    server.listen(at, asking)
    child = estate.warm.start(estate.job(f"--concurrency={AT_ONCE}"))
    asking.pid.set_result(child.pid)
    return child.wait()


def lines(estate: Estate, run_id: str) -> list[dict[str, Any]]:
    text = (estate.folder / "state" / "runs" / run_id / "report.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def undisturbed(estate: Estate, server: EventfulOci) -> list[str]:
    """What a run asks that nobody stops; the world is as before then."""
    before = server.world.copy()
    assert estate.run(f"--concurrency={AT_ONCE}").code == 0
    kinds = list(server.kinds)
    server.world = before
    server.requests.clear()
    estate.forget()
    return kinds


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_run_that_is_asked_to_stop_ends_well_and_the_next_goes_on_after_it(
    estate: Estate, server: EventfulOci, number: signal.Signals, share: float
) -> None:
    deletions = [at for at, kind in enumerate(undisturbed(estate, server)) if changes(kind)]
    before = Truth.of(server.world)
    ended = stopped_at(estate, server, deletions[round(share * len(deletions))], number)
    assert ended.code == 128 + number, ended.err

    # No new change is begun: what was in flight then, and no more.
    first = [at for at, kind in enumerate(server.kinds) if changes(kind)]
    asked = round(share * len(deletions)) + 1
    assert asked <= len(first) <= asked + 2 * AT_ONCE
    # The journal and the report are whole, and true.
    (journal,) = estate.journals()
    assert journal.ended
    assert not journal.unsettled()
    assert done([journal]) == gone(before, Truth.of(server.world))
    head, *rest = lines(estate, journal.begun.run_id)
    assert head["exit_code"] == 128 + number
    outcomes = {
        (each["repository"], each["digest"]): each["outcome"] for each in rest if each["kind"] == "action"
    }
    assert len(outcomes) == 5 * 3 * len(NAMES)
    assert set(outcomes.values()) <= {OutcomeKind.DELETED, OutcomeKind.SKIPPED}
    went = {place for place, outcome in outcomes.items() if outcome == OutcomeKind.DELETED}
    assert went == gone(before, Truth.of(server.world)).images
    # No index is left without its platforms.
    for place in server.world.repositories.values():
        for held in place.manifests.values():
            assert set(held.children) <= set(place.manifests)

    # The next one begins with the repository after the last that was done, and does what is left.
    left = [name for name, _ in outcomes if (name, OutcomeKind.SKIPPED) in _by_place(outcomes)]
    server.requests.clear()
    server.listen()
    assert estate.run(f"--concurrency={AT_ONCE}").code == 0
    order = list(dict.fromkeys(target.split("/manifests/")[0] for target in server.asked("DELETE")))
    assert order == [f"/v2/{name}" for name in dict.fromkeys(left)]
    assert {tag for place in server.world.repositories.values() for tag in place.tags} == {"1.0.0"}
    assert done(estate.journals()) == gone(before, Truth.of(server.world))


def _by_place(outcomes: Mapping[tuple[str, str], str]) -> set[tuple[str, str]]:
    return {(name, outcome) for (name, _), outcome in outcomes.items()}


def test_a_run_that_is_stopped_while_it_lists_changes_nothing(estate: Estate, server: EventfulOci) -> None:
    before = Truth.of(server.world)
    ended = stopped_at(estate, server, 30, signal.SIGTERM)
    assert ended.code == 143
    assert not any(map(changes, server.kinds))
    assert Truth.of(server.world) == before
    assert estate.journals() == []
