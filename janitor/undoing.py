"""What a run changed, put back as far as its registries can: by the run's journal alone.

Nothing is guessed: an image comes back if the journal holds what that takes, or the registry kept it. What
can't come back is said one by one. A tag that is on another image by now stays there. What came back counts
as arrived now, so that no rule takes it again within the grace.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import msgspec

from janitor.core.report import ErrorReport, OutcomeKind
from janitor.errors import RegistryError, UsageError
from janitor.files.journal import NAME, Begun, Change, Intent, Journal, JournalFile, read_journal
from janitor.files.statefolder import run_folder, run_ids
from janitor.opening import load_policies
from janitor.premises import Opened
from janitor.progress import Progress
from janitor.providers.interface import Keepsake, Result
from janitor.recovering import recover
from janitor.settings import Ground, Settings, Stop, ground

_place = attrgetter("registry", "repository")
_INTERRUPTED = 128


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a run. ``outcome``: PLANNED, it can be undone; RESTORED; REFUSED, it can't; FAILED."""

    intent: Intent
    outcome: OutcomeKind
    detail: str | None = None


class UndoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an undo, in the order of registries and repositories."""

    changes: tuple[Undone, ...]
    errors: tuple[ErrorReport, ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: int = 0


def undo(
    run_id: str,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    restore: bool,
    stop: Stop,
    clock: Callable[[], datetime],
    progress: Progress,
) -> UndoResult:
    """Show what of a run can come back, or put it back.

    Errors: UsageError where there is no such run; FileError where its journal can't be read.
    """
    policies = load_policies(settings.policies, environ)
    own_id = f"{clock():%Y%m%dT%H%M%SZ}-undo-{secrets.token_hex(3)}"
    with ground(settings, policies, environ, own_id, stop) as on:
        if on.folder is None:
            raise UsageError("; ".join(on.notes))
        opened = {one.spec.name: one for one in on.opened}
        notes = on.notes + recover(on.folder, on.states, opened, own_id, clock)
        journal = _journal(on, run_id)
        todo = [intent for intent in journal.succeeded() if intent.action is not Change.RESTORE]
        changes = [_judged(intent, opened) for intent in sorted(todo, key=_place)]
        if restore:
            begun = Begun(run_id=own_id, lock=on.folder.lock_name, started_at=clock())
            writing = Journal(on.folder.run_folder(own_id), begun)
            try:
                changes = list(_restored(changes, opened, writing, on, clock=clock, progress=progress))
                writing.end(clock())
            finally:
                writing.close()
    done = all(each.outcome is OutcomeKind.RESTORED for each in changes)
    return UndoResult(
        changes=tuple(changes),
        errors=tuple(on.errors),
        notes=notes,
        exit_code=_exit_code(stop, failed=bool(on.errors) or (restore and not done)),
    )


def _exit_code(stop: Stop, *, failed: bool) -> int:
    if stop.signal is not None:
        return _INTERRUPTED + stop.signal
    return int(failed)


def _journal(on: Ground, run_id: str) -> JournalFile:
    """The journal of a run; raises UsageError where there is none."""
    if on.folder is None:  # pragma: no cover - seen to before
        raise UsageError("there is no state folder")
    folder = run_folder(on.folder.path, run_id)
    journal = read_journal(folder / NAME)
    if journal is not None:
        return journal
    if folder.is_dir():
        raise UsageError(f"run {run_id} changed nothing")
    known = ", ".join(run_ids(on.folder.path)[-3:]) or "none"
    raise UsageError(f"{on.folder.path} knows of no run {run_id}; its last ones: {known}")


def _judged(intent: Intent, opened: Mapping[str, Opened]) -> Undone:
    """Tell whether a change can be undone at all."""
    one = opened.get(intent.registry)
    if one is None:
        why = f"{intent.registry} is not among the registries of these policies"
    elif intent.action is Change.ARCHIVE and one.registry.abilities.archives:
        # What was moved is there still: nothing needed to be kept of it.
        return Undone(intent=intent, outcome=OutcomeKind.PLANNED)
    elif not one.registry.abilities.restores:
        why = f"{one.spec.provider} brings nothing back"
    elif not intent.returns:
        why = f"{one.spec.provider} can't bring back what was {_PAST[intent.action]}"
    else:
        return Undone(intent=intent, outcome=OutcomeKind.PLANNED)
    return Undone(intent=intent, outcome=OutcomeKind.REFUSED, detail=why)


_PAST = {
    Change.DELETE: "deleted",
    Change.UNTAG: "untagged",
    Change.ARCHIVE: "archived",
    Change.RESTORE: "restored",
}


def _restored(
    changes: Sequence[Undone],
    opened: Mapping[str, Opened],
    journal: Journal,
    on: Ground,
    *,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Iterator[Undone]:
    """Put back repository by repository; every change comes out with its outcome."""
    progress.started(len(changes), "restoring")
    for (registry, repository), group in groupby(changes, key=lambda each: _place(each.intent)):
        here = list(group)
        able = [each.intent for each in here if each.outcome is OutcomeKind.PLANNED]
        results: dict[str, Result] = {}
        if able:
            results = _put_back(opened[registry], able, journal, clock)
            back = [digest for digest, one in results.items() if one.outcome is OutcomeKind.RESTORED]
            on.states.returned(registry, repository, back, clock())
        for each in here:
            result = results.get(each.intent.digest) if each.outcome is OutcomeKind.PLANNED else None
            yield (
                each
                if result is None
                else Undone(intent=each.intent, outcome=result.outcome, detail=result.detail)
            )
        progress.advanced(f"{registry}/{repository}", len(here))
    progress.finished()


def _put_back(
    opened: Opened, intents: Sequence[Intent], journal: Journal, clock: Callable[[], datetime]
) -> dict[str, Result]:
    keepsakes = _keepsakes(intents)
    numbers = journal.announce(
        [
            Intent(
                at=clock(),
                action=Change.RESTORE,
                registry=intents[0].registry,
                repository=intents[0].repository,
                digest=kept.digest,
                tags=kept.tags,
            )
            for kept in keepsakes
        ]
    )
    results: dict[str, Result] = {}
    try:
        for result in opened.registry.restore(intents[0].repository, keepsakes):
            results[result.digest] = result
            journal.settle(numbers[result.digest], clock(), result.outcome, result.detail)
    except RegistryError as error:
        for kept in keepsakes:
            if kept.digest not in results:
                results[kept.digest] = Result(
                    digest=kept.digest, outcome=OutcomeKind.FAILED, detail=error.message
                )
                journal.settle(numbers[kept.digest], clock(), OutcomeKind.FAILED, error.message)
    return results


def _keepsakes(intents: Iterable[Intent]) -> list[Keepsake]:
    """What brings back each image: one keepsake a digest, with every tag that was taken off it."""
    found: dict[str, Keepsake] = {}
    for intent in intents:
        tags = intent.remove_tags if intent.action is Change.UNTAG else intent.tags
        before = found.get(intent.digest)
        if before is not None:
            tags = tuple(dict.fromkeys((*before.tags, *tags)))
        found[intent.digest] = Keepsake(
            digest=intent.digest,
            tags=tags,
            media_type=intent.media_type,
            manifest=intent.manifest,
            handle=intent.handle,
        )
    return list(found.values())
