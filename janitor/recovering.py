"""What runs that were killed left open is found out and written down before another run begins.

Of each change that was announced and has no outcome the registry is asked; what should have gone along with
what is gone is left for this run. A journal is closed only when all of it is known: what can't be asked now
is asked again by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from janitor.core.image import Image
from janitor.core.leftover import Leftover
from janitor.core.report import OutcomeKind
from janitor.errors import FileError, RegistryError
from janitor.files.journal import (
    NAME,
    Change,
    Ended,
    Intent,
    JournalFile,
    Settled,
    complete,
    read_journal,
    was_ended,
)
from janitor.files.repositorystate import RepositoryStates
from janitor.files.statefolder import StateFolder, run_ids
from janitor.log import get_logger
from janitor.premises import Opened
from janitor.providers.interface import Registry, Unit

_place = attrgetter("registry", "repository")


def recover(
    folder: StateFolder,
    states: RepositoryStates,
    opened: Mapping[str, Opened],
    run_id: str,
    clock: Callable[[], datetime],
) -> tuple[str, ...]:
    """Settle what earlier runs left open; returned is a sentence for each of them. Raises FileError."""
    return tuple(_recovered(journal, states, opened, run_id, clock) for journal in _abandoned(folder, run_id))


def _abandoned(folder: StateFolder, run_id: str) -> Iterator[JournalFile]:
    """The journals without an end of runs that are over."""
    for other in run_ids(folder.path):
        path = folder.path / "runs" / other / NAME
        if other == run_id or not path.exists() or was_ended(path):
            continue
        journal = read_journal(path)
        if journal is None:
            continue  # cut before its first line was whole: nothing was asked
        if folder.is_over(journal.begun.run_id, journal.begun.lock):
            yield journal


def _recovered(
    journal: JournalFile,
    states: RepositoryStates,
    opened: Mapping[str, Opened],
    run_id: str,
    clock: Callable[[], datetime],
) -> str:
    settled: list[Settled] = []
    troubles: list[str] = []
    for (registry, repository), group in groupby(sorted(journal.unsettled(), key=_place), key=_place):
        intents = list(group)
        if registry not in opened:
            troubles.append(f"{registry} is not among the registries of this run")
            continue
        try:
            outcomes = _looked_up(opened[registry].registry, repository, intents)
        except RegistryError as error:
            troubles.append(error.message)
            continue
        settled.extend(
            Settled(n=intent.n, at=clock(), outcome=outcome, detail=f"found by run {run_id}")
            for intent, outcome in zip(intents, outcomes, strict=True)
        )
    known = {**journal.outcomes, **{each.n: each for each in settled}}
    if not troubles:
        _leave(journal, known, states)
    # Told first: a run that is killed between the two tells twice, and not never.
    told = _told(journal, settled, troubles)
    complete(journal, settled, None if troubles else Ended(at=clock(), recovered_by=run_id))
    return told


def _looked_up(registry: Registry, repository: str, intents: Sequence[Intent]) -> list[OutcomeKind]:
    """What came of changes, by how the registry is now; raises RegistryError."""
    images = [Image(digest=intent.digest, tags=intent.tags) for intent in intents]
    now = registry.tags_now(repository, images)
    archived = _archived(registry, repository) if any(i.action is Change.ARCHIVE for i in intents) else set()
    return [_outcome(intent, now[intent.digest], moved=intent.digest in archived) for intent in intents]


def _archived(registry: Registry, repository: str) -> set[str]:
    return {
        image.digest
        for listing in registry.list(Unit(name=repository), frozenset())
        if listing.repository == repository
        for image in listing.images
        if image.archived_at is not None
    }


def _outcome(intent: Intent, tags: frozenset[str] | None, *, moved: bool) -> OutcomeKind:
    match intent.action:
        case Change.DELETE:
            return OutcomeKind.FAILED if tags is not None else OutcomeKind.DELETED
        case Change.ARCHIVE:
            return OutcomeKind.ARCHIVED if moved else OutcomeKind.FAILED
        case Change.UNTAG:
            left = tags is not None and not tags.isdisjoint(intent.remove_tags)
            return OutcomeKind.FAILED if left else OutcomeKind.UNTAGGED
        case Change.RESTORE:
            return OutcomeKind.FAILED if tags is None else OutcomeKind.RESTORED


def _leave(journal: JournalFile, known: Mapping[int, Settled], states: RepositoryStates) -> None:
    """Leave for this run what was to go along with what is gone."""
    deletions = [intent for intent in journal.intents if intent.action is Change.DELETE]
    for place, group in groupby(sorted(deletions, key=_place), key=_place):
        gone = [i for i in group if i.n in known and known[i.n].outcome is OutcomeKind.DELETED]
        left = {
            digest: Leftover(root=intent.digest, rules=intent.rules)
            for intent in gone
            for digest in intent.along
        }
        for intent in gone:
            left.pop(intent.digest, None)
        if left:
            states.leave(*place, {**states.leftovers(*place), **left})
            if states.trouble is not None:
                raise FileError(states.trouble)


def _told(journal: JournalFile, settled: Sequence[Settled], troubles: Sequence[str]) -> str:
    done = sum(1 for each in settled if each.outcome is not OutcomeKind.FAILED)
    open_ones = len(journal.unsettled())
    told = f"run {journal.begun.run_id} was cut off after {len(journal.intents):,} announced changes"
    if open_ones:
        told += f"; of the {open_ones:,} without an outcome {done:,} were done"
        told += f" and {len(settled) - done:,} were not"
    if troubles:
        told += f"; the rest will be asked again: {'; '.join(dict.fromkeys(troubles))}"
    get_logger().warning("run.recovered", run_id=journal.begun.run_id, done=done, settled=len(settled))
    return told
