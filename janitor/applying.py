"""From a plan to outcomes, repository by repository.

- Every action of the plan has one outcome, whatever goes wrong with its registry.
- Once a stop is set no further repository is begun; how far it came is told.
- A plan that was saved brings what it asked for and what is not to be done any more.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import IO

import msgspec

from janitor.acting import Halt, Work
from janitor.core.plan import Action
from janitor.core.report import Outcome, OutcomeKind
from janitor.files.journal import Journal
from janitor.listing import Place
from janitor.log import get_logger
from janitor.planning import Plan, PlannedRepository
from janitor.premises import Opened, Premises
from janitor.progress import Progress
from janitor.relisting import Relisting


class Outcomes:
    """What became of every action of a plan, in its order; a handle on a spool. Close it.

    ``limited``: a limit, or a source of use, stopped something that the plan would have done. ``unfinished``:
    a stop left something undone; ``reached`` is the place that was done last before it.
    """

    def __init__(self) -> None:
        self.limited = False
        self.unfinished = False
        self.reached: Place | None = None
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="janitor-")  # noqa: SIM115 - close() closes it

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Write down outcomes, after those that are there."""
        self._spool.writelines(msgspec.json.encode(outcome) + b"\n" for outcome in outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        self._spool.seek(0)
        return map(msgspec.json.Decoder(Outcome).decode, self._spool)

    def close(self) -> None:
        """Give the spool back."""
        self._spool.close()


def apply(
    plan: Plan,
    registries: Mapping[str, Opened],
    premises: Callable[[], Premises],
    journal: Journal,
    *,
    stop: Halt,
    clock: Callable[[], datetime],
    progress: Progress,
    begin_after: Place | None = None,
) -> Outcomes:
    """Carry out what of a plan still holds, repository by repository; from a place on, and round to it again.

    ``premises`` gives premises that are fresh enough. Once ``stop`` is set no new change is begun; what is
    left is skipped. Errors of registries are outcomes, never raised; nor is a journal that can't be written,
    without which nothing is changed.
    """
    with contextlib.ExitStack() as unless_done:
        outcomes = Outcomes()
        unless_done.callback(outcomes.close)
        repositories = _from(plan.repositories, begin_after)
        relisting = Relisting((one for one in repositories if one.is_due), clock)
        work = partial(Work, relisting=relisting, premises=premises, journal=journal, stop=stop, clock=clock)
        _carry_out(plan, repositories, registries, work, outcomes, stop=stop, progress=progress)
        unless_done.pop_all()
    return outcomes


def _from(repositories: Sequence[PlannedRepository], place: Place | None) -> list[PlannedRepository]:
    """Turn the order so that it begins after a place."""
    if place is None:
        return list(repositories)
    return sorted(repositories, key=lambda one: (one.plan.registry, one.unit.name) <= place)


def _carry_out(
    plan: Plan,
    repositories: Sequence[PlannedRepository],
    registries: Mapping[str, Opened],
    begin: Callable[[PlannedRepository, Opened, Sequence[Action]], Work],
    outcomes: Outcomes,
    *,
    stop: Halt,
    progress: Progress,
) -> None:
    progress.started(sum(1 for repository in repositories if repository.is_due), "deleting")
    for repository in repositories:
        actions = list(plan.actions(repository))
        outcomes.add(plan.dropped(repository))
        if not repository.is_due or not actions:
            why = repository.plan.detail or ""
            outcomes.add(Outcome(action=each, outcome=OutcomeKind.SKIPPED, detail=why) for each in actions)
        else:
            work = begin(repository, registries[repository.plan.registry], actions)
            work.run()
            done = list(work.outcomes())
            outcomes.add(done)
            outcomes.limited |= work.limited
            outcomes.unfinished |= work.unfinished
            counted = Counter(outcome.outcome.value for outcome in done)
            place = {"registry": repository.plan.registry, "repository": work.name}
            get_logger().info("repository.cleaned", **place, **counted)
            progress.advanced("/".join(place.values()), repository.plan.images)
        if not stop.is_set():
            outcomes.reached = repository.plan.registry, repository.unit.name
    progress.finished()
