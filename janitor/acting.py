"""What is done in one repository: only what the plan and a decision made afresh both hold.

Rules that stand here:

- Each repository is listed and decided again before its first change, and again after ten minutes of changes
  (or as long as its listing takes, if that is longer).
- The tags of each image are read again shortly before its deletion; an image whose tags moved stays, and what
  hangs on it.
- What holds an image goes first: an index before its platforms, a subject before its signatures, unless the
  registry asks that these go before it. What could not be deleted keeps all that hangs on it.
- Sources of use are read again when they are older than ten minutes. What they say otherwise by then is
  decided by before anything more is changed; one that can't be read any more stops what is left.
- Every action has one outcome. A change that was sent is waited for.
- What was to go along with an image that went, and was left, is written down for the next run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from janitor.changing import Changes
from janitor.core.decision import Decisions
from janitor.core.image import Image
from janitor.core.leftover import Leftover
from janitor.core.limits import brake, oldest_first
from janitor.core.plan import Action, ActionKind
from janitor.core.report import Outcome, OutcomeKind
from janitor.core.shape import Shape
from janitor.core.story import why_stays
from janitor.errors import FileError, RegistryError, Stopped
from janitor.files.journal import Journal
from janitor.planning import PlannedRepository, why_closed
from janitor.premises import Opened, Premises
from janitor.relisting import Relisting

# Tags are to be read not longer than 60 s before a deletion; half of it is left for the deletion itself. A
# registry that makes us wait longer than that gets no further request for what they were read for.
_TAGS_LAST = timedelta(seconds=30)
_TAGS_AT_MOST = timedelta(seconds=60)
# Of so many the tags are read at a time, as many as are deleted before these are old: where a registry tells
# whose a tag is tag by tag, each reading asks for all of the repository.
_MOST_READ = 1024

_WENT = frozenset({OutcomeKind.DELETED, OutcomeKind.ARCHIVED})
_PAST = {ActionKind.DELETE: "deleted", ActionKind.ARCHIVE: "archived"}


class Halt(Protocol):
    """What stops a run: for good, or what is begun in a block after an instant."""

    def is_set(self) -> bool:
        """Whether no further change may be begun."""

    def meanwhile_after(
        self, at: datetime, clock: Callable[[], datetime]
    ) -> contextlib.AbstractContextManager[None]:
        """Be set after this instant as long as the block lasts."""


class Work:
    """The actions of one repository, until each has an outcome."""

    def __init__(
        self,
        repository: PlannedRepository,
        opened: Opened,
        actions: Sequence[Action],
        *,
        relisting: Relisting,
        premises: Callable[[], Premises],
        journal: Journal,
        stop: Halt,
        clock: Callable[[], datetime],
    ) -> None:
        self._repository = repository
        self.name = repository.plan.repository
        self._opened = opened
        self._registry = opened.registry
        self._actions = actions
        by_digest = {action.digest: action for action in actions}
        place = opened.spec.name, self.name
        self._changes = Changes(opened.registry, by_digest, journal, clock, place=place)
        self._rules = {digest: action.rules for digest, action in by_digest.items()}
        self._left: dict[str, Leftover] = {}
        self._stop = stop
        self._clock = clock
        self._premises = premises
        self._relisting = relisting
        self.limited = False
        self.unfinished = False
        self._at_once = opened.registry.changes_at_once
        self._read_at_once = self._at_once
        self._done: dict[str, tuple[OutcomeKind, str | None]] = {}

    def outcomes(self) -> Iterator[Outcome]:
        """Every action with its outcome, in the order of the plan."""
        for action in self._actions:
            outcome, detail = self._done[action.digest]
            yield Outcome(action=action, outcome=outcome, detail=detail)

    def run(self) -> None:
        """Decide afresh and act, as often as it takes."""
        states, place = self._premises().states, (self._opened.spec.name, self.name)
        self._left = {} if states is None else dict(states.leftovers(*place))
        try:
            while self._waiting() and not self._stop.is_set():
                self._decide_and_act()
        except Stopped:
            pass
        except (RegistryError, FileError) as error:
            self._skip_waiting(OutcomeKind.FAILED, error.message)
        self.unfinished = bool(self._waiting())
        self._skip_waiting(OutcomeKind.SKIPPED, "the run was stopped before it")
        if states is not None:
            states.leave(*place, self._left)

    def _waiting(self) -> list[Action]:
        return [action for action in self._actions if action.digest not in self._done]

    def _skip_waiting(self, outcome: OutcomeKind, why: str) -> None:
        for action in self._waiting():
            self._done[action.digest] = outcome, why

    def _decide_and_act(self) -> None:
        """Act on one fresh decision for as long as it may be acted on."""
        listing, until = self._relisting.of(self._opened, self._repository)
        # A listing may take long: what is in use is looked at after it.
        premises = self._premises()
        closed = why_closed(premises.in_use)
        if closed is not None:
            self.limited = True
            self._skip_waiting(OutcomeKind.SKIPPED, closed)
            return
        fresh = self._opened.decide(listing, premises.decider(), premises, self._left)
        judged = len(fresh.facts.shape.candidates)
        stopped = brake(len(fresh.going), judged, premises.policies.limits.max_percent)
        if stopped is not None:
            self.limited = True
            self._skip_waiting(OutcomeKind.SKIPPED, f"decided afresh, {stopped}")
            return
        self._drop_drifted(fresh)

        def may_go_on() -> bool:
            if self._stop.is_set() or self._clock() >= until:
                return False
            in_use = self._premises().in_use
            return in_use is premises.in_use or in_use == premises.in_use

        gone: set[int] = set()
        self._remove(fresh, ActionKind.DELETE, gone, may_go_on)
        self._remove(fresh, ActionKind.ARCHIVE, gone, may_go_on)
        self._untag(fresh, may_go_on)

    def _drop_drifted(self, fresh: Decisions) -> None:
        """Skip what is decided otherwise now."""
        at = fresh.facts.shape.at
        for action in self._waiting():
            i = at.get(action.digest)
            if i is None:
                self._done[action.digest] = OutcomeKind.SKIPPED, "it is gone already"
            elif (now := fresh.action(i)) is not action.action:
                what = f"it would {now} now" if now is not None else f"it stays: {why_stays(fresh, i)[0]}"
                self._done[action.digest] = OutcomeKind.SKIPPED, f"decided afresh, {what}"

    def _remove(
        self, fresh: Decisions, kind: ActionKind, gone: set[int], may_go_on: Callable[[], bool]
    ) -> None:
        """Delete, or move, the oldest first; whatever drifts or fails takes what hangs on it out of the rest.

        ``gone`` are the images that were deleted or moved by this decision; it grows.
        """
        at = fresh.facts.shape.at
        drifted = True
        while drifted:
            before = len(gone)
            left = {at[action.digest] for action in self._waiting() if action.action is kind}
            if not left:
                return
            if kind is ActionKind.DELETE:
                drifted = self._remove_in_order(fresh.only(left | gone), kind, gone, may_go_on)
            else:
                drifted = self._remove_in_order(fresh.only_moving(left | gone, gone), kind, gone, may_go_on)
            # What had to wait for something of a later batch may go by now.
            drifted |= len(gone) > before and may_go_on()
        if may_go_on():
            for action in self._waiting():
                if action.action is kind:
                    self._done[action.digest] = OutcomeKind.SKIPPED, f"what holds it was not {_PAST[kind]}"

    def _remove_in_order(
        self, decisions: Decisions, kind: ActionKind, gone: set[int], may_go_on: Callable[[], bool]
    ) -> bool:
        """Go batch by batch; true when something came between, so that the order is to be made anew."""
        shape = decisions.facts.shape
        hanging = decisions.along if kind is ActionKind.DELETE else decisions.archived_along
        if decisions.left:
            hanging = {**dict.fromkeys(decisions.left, ()), **hanging}
        along: dict[int, list[int]] = {}
        for i, roots in hanging.items():
            for root in roots:
                along.setdefault(root, []).append(i)
        # What hung on images that went before something came between is still to go.
        batch = [i for i, roots in hanging.items() if i not in gone and gone.issuperset(roots)]
        order = (i for _, i in oldest_first(decisions) if i not in gone)
        while batch or (batch := list(islice(order, self._read_at_once))):
            begun = self._clock()
            free = gone.union(batch)
            hung_on = dict.fromkeys(i for root in batch for i in along.get(root, ()))
            batch += (i for i in hung_on if free.issuperset(hanging[i]))
            if shape.cascades:
                there = gone.union(batch)
                batch += (i for i in shape.referring_to(batch) if i not in there)
            if not self._remove_batch(decisions, kind, batch, gone, may_go_on, along=along):
                return may_go_on()
            self._pace(self._clock() - begun)
            batch = []
        return False

    def _remove_batch(
        self,
        decisions: Decisions,
        kind: ActionKind,
        batch: list[int],
        gone: set[int],
        may_go_on: Callable[[], bool],
        *,
        along: Mapping[int, Sequence[int]],
    ) -> bool:
        """Delete or move a batch, what holds others first; false when some drifted, failed or must wait."""
        images = decisions.facts.images
        read_at: datetime | None = None
        too_old = self._clock()
        while batch:
            if not may_go_on():
                return False
            if read_at is None or self._clock() - read_at > _TAGS_LAST:
                read_at = self._clock()
                if self._moved([images[i] for i in batch]):
                    return False
                # A reading that takes long itself leaves as much time as any: else nothing would ever go.
                too_old = max(read_at + _TAGS_AT_MOST, self._clock() + _TAGS_LAST)
            ready = self._ready(decisions.facts.shape, batch, gone)
            if not ready:
                return True
            hung_on = {images[i].digest: [images[j].digest for j in along[i]] for i in ready if i in along}
            removed = self._removed(kind, [images[i] for i in ready], hung_on, too_old)
            gone.update(i for i in ready if images[i].digest in removed)
            if len(removed) < len(ready):
                return False
            batch = [i for i in batch if i not in gone]
        return True

    def _ready(self, shape: Shape, batch: Sequence[int], gone: set[int]) -> list[int]:
        """Choose what may be handed over now: nothing holds it any more.

        Where an image doesn't go without all that refers to it, that is handed over with it: nothing else may
        hold that either, and its tags must have been read.
        """
        free = [i for i in batch if gone.issuperset(shape.bound_to(i))]
        if not shape.cascades:
            return free[: self._at_once]
        ready: dict[int, None] = {}
        read = gone.union(batch)
        for i in free:
            if len(ready) >= self._at_once:
                break
            together = [i, *(j for j in shape.referring_to([i]) if j not in gone)]
            leaving = gone.union(ready, together)  # what is ready goes before it, or with it
            if read.issuperset(together) and all(leaving.issuperset(shape.bound_to(j)) for j in together):
                ready.update(dict.fromkeys(together))
        return list(ready)

    def _pace(self, took: timedelta) -> None:
        """Read the tags of more images at once where deletions are quick, of fewer where they are slow."""
        if took < _TAGS_LAST / 4:
            self._read_at_once = min(2 * self._read_at_once, _MOST_READ)
        elif took > _TAGS_LAST:
            self._read_at_once = max(self._read_at_once // 2, self._at_once)

    def _moved(self, images: Sequence[Image]) -> bool:
        """Read tags again; skip the images that have others than were decided on."""
        now = self._registry.tags_now(self.name, images)
        moved = False
        for image in images:
            tags = now[image.digest]
            if tags == frozenset(image.tags):
                continue
            moved = True
            self._done[image.digest] = (
                OutcomeKind.SKIPPED,
                "it is gone already" if tags is None else f"its tags moved meanwhile, it has {_spoken(tags)}",
            )
        return moved

    def _removed(
        self, kind: ActionKind, images: Sequence[Image], along: Mapping[str, Sequence[str]], too_old: datetime
    ) -> set[str]:
        """Delete or move images and note what came of each; the digests of those that went are returned.

        What was not sent by when its tags are too old waits on, if at least something was.
        """
        change = self._changes.delete if kind is ActionKind.DELETE else self._changes.archive
        with self._stop.meanwhile_after(too_old, self._clock):
            results = list(change(images, along))
        unsent = [result.digest for result in results if result.outcome is OutcomeKind.SKIPPED]
        for result in results:
            self._done[result.digest] = result.outcome, result.detail
        if not self._stop.is_set():
            why = "its tags had been read too long ago when its turn came"
            self._done.update(dict.fromkeys(unsent, (OutcomeKind.SKIPPED, why)))
        went = {result.digest for result in results if result.outcome in _WENT}
        for digest in unsent if len(unsent) < len(results) else ():
            del self._done[digest]
        for root in went if kind is ActionKind.DELETE else ():
            left = Leftover(root=root, rules=self._rules.get(root, ()))
            self._left.update((digest, left) for digest in along.get(root, ()))
        for digest in went:
            self._left.pop(digest, None)
        return went

    def _untag(self, fresh: Decisions, may_go_on: Callable[[], bool]) -> None:
        """Take off the tags that the plan and the fresh decision both take off."""
        at, images = fresh.facts.shape.at, fresh.facts.images
        for action in self._waiting():
            if action.action is not ActionKind.UNTAG or not may_go_on():
                continue
            i = at[action.digest]
            tags = [tag for tag in action.remove_tags or () if tag in fresh.untag[i]]
            if not tags:
                self._done[action.digest] = OutcomeKind.SKIPPED, "decided afresh, its tags stay"
            elif not self._moved([images[i]]):
                result = self._changes.untag(images[i], tags)
                self._done[action.digest] = result.outcome, result.detail


def _spoken(tags: Iterable[str]) -> str:
    return ", ".join(sorted(tags)) or "none"
