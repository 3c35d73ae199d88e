"""Each fault in each phase of a whole run: what is told is what happened, and other repositories are done.

One of three repositories is struck. Nothing that is kept or used is lost; the exit code is 1 if something
failed, and then an error or an outcome says what; the journal is whole; the next run does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from janitor.core.report import OutcomeKind
from tests.conformance.harness import LOST_KINDS, Harness
from tests.peers.distribution import Distribution
from tests.proofs.cleaning_runs import Place, Ran, placed
from tests.proofs.matrix_cells import ALWAYS, Cell, cells
from tests.simulators.world import ARM64, World

DELETED, ARCHIVED, UNTAGGED, FAILED, SKIPPED = (
    OutcomeKind.DELETED,
    OutcomeKind.ARCHIVED,
    OutcomeKind.UNTAGGED,
    OutcomeKind.FAILED,
    OutcomeKind.SKIPPED,
)
# What is asked again, and then answered; where a token is refused, it is refused.
PASSING = frozenset({"throttle", "error", "reset", "slow", "cut", *LOST_KINDS})
Truth = Mapping[str, tuple[frozenset[str], Mapping[str, str], frozenset[str]]]


def rules(harness: Harness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"delete": {"tags": ["pr-*"], "older_than": "7d"}},
        {"delete": {"tags": ["x-*"], "untag": True}},
    ]
    if harness.archives:
        found.append({"delete": {"tags": ["old-*"], "archive": True}})
    return found


def policy(harness: Harness) -> dict[str, Any]:
    named = {"name": "p", "registries": "*", "repositories": "**", "rules": rules(harness)}
    return {"version": 1, "limits": {"max_percent": 100, "grace": "0h"}, "policies": [named]}


def world_of(harness: Harness) -> tuple[World, list[str]]:
    """Three repositories alike, and what is in use of them."""
    world, used = World(), []
    for name in map(harness.at, ("a", "b", "c")):
        stays = world.push(name, tags=["1.0.0"], created="30d")
        world.retag(name, "x-1", stays, at="30d")
        used.append(world.push(name, tags=["pr-used"], created="30d"))
        world.push(name, tags=["pr-1"], created="30d")
        world.push(name, tags=["old-1"], created="30d")
        children = [world.push(name, created="30d"), world.push(name, created="30d", platform=ARM64)]
        index = world.push_index(name, children=children, tags=["pr-2"], created="30d")
        world.refer(name, index, created="30d", fallback=not harness.referrers)
    return world, used


def no_server() -> Distribution:
    raise NotImplementedError


@contextmanager
def ready(harness: Harness) -> Iterator[tuple[Place, frozenset[str]]]:
    """The three repositories on a stage, with what must stay."""
    world, used = world_of(harness)
    stays = {*used, *(place.tags["1.0.0"] for place in world.repositories.values())}
    with placed(harness, world, no_server) as place:
        place.write([policy(harness)], [f"nowhere.example/x@{digest}" for digest in used])
        yield place, frozenset(stays)


def truth(place: Place) -> Truth:
    """What is there: digests, tags and what of it is archived."""
    stage = place.stage
    return {
        name: (stage.held(name), dict(stage.tags(name)), frozenset(there.archived))
        for name, there in stage.world.repositories.items()
    }


@cache
def undisturbed(harness: Harness) -> Truth:
    """What is left when nothing goes wrong."""
    with ready(harness) as (place, _):
        ran = place.run(delete=True)
        assert ran.report.exit_code == 0, told(ran)
        return truth(place)


def told(ran: Ran) -> str:
    rows = [f"exit {ran.report.exit_code}", *map(str, (*ran.report.errors, *ran.notes))]
    for each in ran.outcomes:
        action = each.action
        what = f"{action.action} {action.repository} {action.digest[7:13]} {action.tags}"
        rows.append(f"{what} -> {each.outcome} {each.detail or ''}")
    return "\n".join(rows)


def strike(place: Place, cell: Cell) -> Callable[[], int]:
    """Let the phase of the first repository be struck; returned is what counts the strikes."""
    world, first = place.stage.world, cell.harness.a
    struck: list[Any] = []
    planned: list[Any] = []
    state = {"afresh": False}
    method = "list" if cell.phase == "afresh" else cell.phase

    def watch(asked: str, where: str) -> None:
        mine = where == first or (method == "units") or (method == "list" and first.startswith(where))
        if cell.phase == "afresh" and not state["afresh"]:
            return
        if asked == method and mine and (cell.lasting or not struck):
            fault = world.fault(cell.kind, times=ALWAYS if cell.lasting else 1, retry_after="3")
            planned.append(fault)
            struck.append(fault)
        elif asked == f"after {method}":
            for fault in planned:
                world.faults.remove(fault)
            planned.clear()

    place.watch = watch
    place.progress.at_start["deleting"] = lambda: state.update(afresh=True)
    return lambda: sum(fault.struck for fault in struck)


@cells(("units", "list", "afresh", "tags_now", "delete", "untag", "archive", "keepsakes"))
def test_a_fault_costs_no_more_than_the_repository_that_it_strikes(cell: Cell) -> None:
    harness = cell.harness
    with ready(harness) as (place, stays):
        before = truth(place)
        strikes = strike(place, cell)
        ran = place.run(delete=True)
        place.watch = lambda *_: None
        place.stage.world.faults.clear()
        after, story = truth(place), told(ran)
        done = {(each.action.repository, each.action.digest): each for each in ran.outcomes}

        gone = {(name, digest) for name in before for digest in before[name][0] - after[name][0]}
        assert stays.isdisjoint(digest for _, digest in gone), story
        reported = {key for key, each in done.items() if each.outcome is DELETED}
        assert reported <= gone, story
        # Of what was done, and can't be looked at, nobody can tell more than that it failed.
        lost = cell.kind in LOST_KINDS and cell.lasting
        assert {key for key in gone - reported if not (lost and done[key].outcome is FAILED)} == set(), story

        failed = {key for key, each in done.items() if each.outcome is FAILED}
        assert ran.report.exit_code == (1 if failed or ran.report.errors else 0), story
        totals = ran.report.totals
        assert (totals.failed, totals.deleted) == (len(failed), len(reported)), story
        assert all(done[key].detail for key in failed), story
        assert all(error.message for error in ran.report.errors), story
        assert ran.journal is None or ran.journal.ended, story

        others = [name for name in before if name != harness.a]
        if cell.phase not in {"units", "list"}:
            assert {name for name, _ in failed} <= {harness.a}, story
            assert ran.report.errors == (), story
        if cell.phase == "list":
            assert {error.repository for error in ran.report.errors} <= {harness.a, ""}, story
        if not (cell.phase == "units" or any(not error.repository for error in ran.report.errors)):
            assert all(after[name] == undisturbed(harness)[name] for name in others), story
        if strikes() and not cell.lasting and cell.kind in PASSING:
            assert (ran.report.exit_code, after) == (0, undisturbed(harness)), story

        again = place.run(delete=True)
        assert again.report.exit_code == 0, story + told(again)
        assert truth(place) == undisturbed(harness), story + told(again)


@cells(("restore",))
def test_an_undo_that_is_struck_tells_what_came_back_and_loses_nothing(cell: Cell) -> None:
    harness = cell.harness
    with ready(harness) as (place, _):
        before = truth(place)
        ran = place.run(delete=True)
        cleaned = truth(place)
        strikes = strike(place, cell)
        undone = place.undo(ran.report.run_id)
        place.watch = lambda *_: None
        place.stage.world.faults.clear()
        after, story = truth(place), "\n".join(map(str, undone.changes))

        back = {
            (each.intent.repository, each.intent.digest)
            for each in undone.changes
            if each.outcome is OutcomeKind.RESTORED
        }
        for name, (held, tags, _) in cleaned.items():
            assert held <= after[name][0] <= before[name][0], story
            assert tags.items() <= after[name][1].items() <= before[name][1].items(), story
        if not harness.collects:
            assert all(digest in after[name][0] for name, digest in back), story
        failed = [each for each in undone.changes if each.outcome is not OutcomeKind.RESTORED]
        assert undone.exit_code == (1 if failed else 0), story
        assert all(each.detail for each in failed), story
        assert {each.intent.repository for each in failed} <= {harness.a}, story
        if strikes() and not cell.lasting and cell.kind in PASSING:
            assert not failed, story

        again = place.undo(ran.report.run_id)
        assert again.exit_code == 0, "\n".join(map(str, again.changes))
        if harness.returns_whole and not harness.collects:
            assert truth(place) == before, "\n".join(map(str, again.changes))
