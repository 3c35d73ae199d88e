"""A plan that was saved, and one that was just made: what both hold is done, the rest is skipped.

Whatever is skipped has its reason. Saved lines count whatever the state of their repository was: limits are
judged afresh, over all that is planned by now.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import IO

import msgspec

from janitor.core.plan import Action, RepositoryPlan, RepositoryState, both
from janitor.core.report import Outcome, OutcomeKind, Stay
from janitor.files.planfile import PlanFile
from janitor.files.spool import Lines, Spool
from janitor.planning import Plan, PlannedRepository
from janitor.providers.interface import Unit

_Named = tuple[str, str]


class AgreedPlan(Plan):
    """What a saved plan and a fresh one both hold; has, and closes, the fresh one."""

    def __init__(
        self, fresh: Plan, repositories: Sequence[PlannedRepository], spool: Spool, dropped: _Dropped
    ) -> None:
        super().__init__(fresh.header, repositories, spool, fresh.notes)
        self._fresh = fresh
        self._dropped = dropped

    def dropped(self, repository: PlannedRepository) -> Iterator[Outcome]:
        """What of both plans is not to be done, with its reason."""
        return self._dropped.of(_named(repository.plan))

    def stays(self) -> Iterator[Stay]:
        """Every image that stays by the fresh plan."""
        return self._fresh.stays()

    def close(self) -> None:
        """Give all spools back."""
        super().close()
        self._dropped.close()
        self._fresh.close()


def agree(saved: PlanFile, fresh: Plan) -> AgreedPlan:
    """Make the plan of what both hold. The fresh one must have been made noting why images stay."""
    spool, dropped = Spool(), _Dropped()
    asked = _spooled(saved, spool)
    repositories = []
    for repository in fresh.repositories:
        wanted = asked.pop(_named(repository.plan), None)
        actions = () if wanted is None else tuple(spool.actions(wanted))
        agreed, gone, new = both(actions, fresh.actions(repository))
        reasons = _reasons(fresh, repository, gone) if gone else {}
        skipped = chain(
            (_skipped(action, reasons[action.digest]) for action in gone),
            (_skipped(action, "it is not in the saved plan") for action in new),
        )
        dropped.put(_named(repository.plan), skipped)
        repositories.append(msgspec.structs.replace(repository, lines=spool.put(agreed)))
    repositories += [_unplanned(place, spool.actions(lines), dropped) for place, lines in asked.items()]
    repositories.sort(key=lambda one: _named(one.plan))
    return AgreedPlan(fresh, repositories, spool, dropped)


def _named(plan: RepositoryPlan) -> _Named:
    return plan.registry, plan.repository


def _spooled(saved: PlanFile, spool: Spool) -> dict[_Named, Lines]:
    """The lines of each repository of a saved plan."""
    found: dict[_Named, Lines] = {}
    place: _Named | None = None
    actions: list[Action] = []
    for line in chain(saved.lines(), [None]):
        if isinstance(line, Action):
            actions.append(line)
            continue
        if place is not None and actions:
            found[place] = spool.put(actions)
        actions = []
        place = None if line is None else _named(line)
    return found


def _reasons(fresh: Plan, repository: PlannedRepository, gone: Iterable[Action]) -> Mapping[str, str]:
    """Say why each of these actions is not to be done any more."""
    if repository.plan.state is RepositoryState.FAILED:
        why = f"it could not be listed: {repository.plan.detail}"
        return {action.digest: why for action in gone}
    stays = {stay.digest: stay.reasons for stay in fresh.stays_in(repository)}
    goes = {action.digest: action.action for action in fresh.actions(repository)}
    reasons: dict[str, str] = {}
    for action in gone:
        if action.digest in goes:
            what = f"it would {goes[action.digest]} now"
            if goes[action.digest] is action.action:
                what = "none of the tags that were to come off would come off now"
            reasons[action.digest] = f"planned afresh, {what}"
        elif action.digest in stays:
            reasons[action.digest] = f"planned afresh, it stays: {stays[action.digest][0]}"
        else:
            reasons[action.digest] = "it is gone already"
    return reasons


def _unplanned(place: _Named, actions: Iterable[Action], dropped: _Dropped) -> PlannedRepository:
    """A repository of the saved plan that the fresh one doesn't speak of."""
    why = "its repository is gone, or these policies and options don't cover it any more"
    dropped.put(place, (_skipped(action, why) for action in actions))
    plan = RepositoryPlan(registry=place[0], repository=place[1], images=0)
    return PlannedRepository(plan=plan, unit=Unit(name=place[1]), lines=Lines(start=0, end=0))


def _skipped(action: Action, why: str) -> Outcome:
    return Outcome(action=action, outcome=OutcomeKind.SKIPPED, detail=why)


class _Dropped:
    """Outcomes by repository, on disk."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="janitor-")  # noqa: SIM115 - close() closes it
        self._places: dict[_Named, tuple[int, int]] = {}

    def put(self, place: _Named, outcomes: Iterable[Outcome]) -> None:
        start = self._file.seek(0, 2)
        self._file.writelines(msgspec.json.encode(outcome) + b"\n" for outcome in outcomes)
        self._places[place] = start, self._file.tell()

    def of(self, place: _Named) -> Iterator[Outcome]:
        start, end = self._places.get(place, (0, 0))
        self._file.seek(start)
        return map(msgspec.json.Decoder(Outcome).decode, self._file.read(end - start).splitlines())

    def close(self) -> None:
        self._file.close()
