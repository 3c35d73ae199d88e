"""The page: a heading a repository, a line or two an image, and the closing lines."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
from msgspec import UNSET

from janitor.core.legible import clean, short
from janitor.core.plan import Action, RepositoryState
from janitor.core.report import Outcome, OutcomeKind, Report, RepositoryReport, Stay, Sums
from janitor.core.units import format_size
from janitor.reports.console import closing
from janitor.reports.console.paper import Paper, crop, pad

# Lines of one repository, of what goes and again of what was not done; one more line says how many more.
SHOWN = 50
# Images of a whole run that are shown; of more, nobody reads on.
MOST = 1000
# Below this many columns an image takes two lines instead of one.
_WIDE = 100
# Columns of the first word ("refused"), with the spaces around it.
_START = 11
# Tags of an image that are named; a number says how many more.
_TAGS = 3
# Ages are told in hours until they have lasted so many, then in days.
_HOURS = 48

_YELLOW, _RED, _CYAN, _MAGENTA, _GREEN = "33", "31", "36", "35", "32"
_COLORS = {
    "delete": _YELLOW,
    "untag": _YELLOW,
    "archive": _YELLOW,
    "deleted": _RED,
    "untagged": _CYAN,
    "archived": _CYAN,
    "failed": closing.ALARM,
    "refused": _MAGENTA,
    "skipped": _MAGENTA,
    "stopped": _MAGENTA,
    "stays": _GREEN,
}

_Place = tuple[str, str]
_T = TypeVar("_T")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the report is to look.

    ``width`` in columns; ``None``: lines are as long as they are. ``verbose``: everything, and what stays.
    ``quiet``: the closing lines alone. ``notes``: what must be known first.
    """

    width: int | None = None
    color: bool = False
    verbose: bool = False
    quiet: bool = False
    notes: tuple[str, ...] = ()


def render(
    report: Report,
    outcomes: Iterable[Outcome],
    *,
    now: datetime,
    stays: Iterable[Stay] = (),
    look: Look | None = None,
    counted: Sums | None = None,
) -> Iterator[str]:
    """Yield the report, a line at a time, each with its end.

    ``outcomes`` and ``stays`` are grouped by repository, in the order of the report. Ages are told from
    ``now``. Where the sums of the outcomes are ``counted`` already, no more of them are read than are shown.
    """
    page = _Page(look or Look(), now, report, counted)
    for line in page.lines(outcomes, stays):
        yield line + "\n"


class _Page:
    """One report being written; its sums grow as its outcomes go by."""

    def __init__(self, look: Look, now: datetime, report: Report, counted: Sums | None) -> None:
        self._look = look
        self._paper = Paper(width=look.width, color=look.color)
        self._now = now
        self._report = report
        self._deletes = report.mode == "delete"
        self._counted = counted
        self._sums = counted or Sums()
        self._shown = 0
        self._said = {(each.registry, each.repository): each.message for each in reversed(report.errors)}

    def lines(self, outcomes: Iterable[Outcome], stays: Iterable[Stay]) -> Iterator[str]:
        if self._look.notes:
            mode = "run" if self._deletes else "dry run"
            yield self._paper.paint(closing.BOLD, f"{mode}: {clean('; '.join(self._look.notes))}")
        body = self._body(outcomes, stays)
        if self._look.quiet:
            if self._counted is None:
                collections.deque(body, maxlen=0)  # only counted
            yield from closing.errors(self._report, self._paper, said=frozenset())
        else:
            yield from body
            yield from closing.errors(self._report, self._paper, said=self._said_above())
            yield from closing.use(self._report, self._paper, verbose=self._look.verbose)
        if self._look.verbose:
            yield from closing.requests(self._report)
        yield from closing.sums(self._report, self._paper, self._sums)
        yield from closing.unselected(self._report, verbose=self._look.verbose)
        yield from closing.advice(self._report, self._sums)

    def _body(self, outcomes: Iterable[Outcome], stays: Iterable[Stay]) -> Iterator[str]:
        going = _Groups(((each.action.registry, each.action.repository), each) for each in outcomes)
        staying = _Groups(((each.registry, each.repository), each) for each in stays)
        for repository in self._report.repositories:
            place = repository.registry, repository.repository
            stopped = repository.state is not RepositoryState.OK
            outcomes = going.of(place) if self._reads_on() else iter(())
            first = next(outcomes, None)
            if first is None and not repository.planned and not stopped and not self._look.verbose:
                continue
            yield from self._heading(repository, first)
            outcomes = itertools.chain(() if first is None else (first,), outcomes)
            yield from self._outcomes(outcomes, stopped=stopped or self._deletes)
            yield from itertools.chain(self._stays(staying.of(place)), ("",))
        if not self._reads_on():
            yield self._paper.paint(closing.DIM, f"after {MOST:,} images only names are shown; -v shows all")
            return
        for place in going.rest():
            yield self._paper.paint(closing.BOLD, clean("/".join(place)))
            yield from itertools.chain(self._outcomes(going.of(place), stopped=self._deletes), ("",))

    def _reads_on(self) -> bool:
        return self._look.verbose or self._counted is None or self._shown < MOST

    # --- a repository

    def _heading(self, repository: RepositoryReport, first: Outcome | None) -> Iterator[str]:
        name = clean(f"{repository.registry}/{repository.repository}")
        counts = [closing.images(repository.images)]
        for what in ("planned", "deleted", "failed", "refused", "skipped"):
            number = getattr(repository, what)
            if number:
                counts.append(f"{number:,} {what}")
        if repository.images:
            counts.append(f"{repository.remaining:,} {'' if self._deletes else 'would '}remain")
        yield from self._paper.beside(self._paper.paint(closing.BOLD, name), len(name), ", ".join(counts))
        if repository.state is RepositoryState.OK:
            return
        word = "stopped" if repository.state is RepositoryState.LIMITED else "failed"
        why = self._why((repository.registry, repository.repository))
        # What stops a repository stands at everything that is planned in it.
        why = why or (first.detail if first is not None else None) or "nothing is done here"
        start = f"  {self._paper.paint(_COLORS[word], word)}"
        yield from self._paper.beside(start, 2 + len(word), self._paper.prose(why))

    def _why(self, place: _Place) -> str:
        """Why a repository is stopped: what the report says of it, or else of its registry."""
        return self._said.get(place) or self._said.get((place[0], ""), "")

    def _said_above(self) -> frozenset[tuple[_Place, str]]:
        """Name the errors that stand below the name of their repository already."""
        places = (
            (each.registry, each.repository)
            for each in self._report.repositories
            if each.state is not RepositoryState.OK
        )
        return frozenset((place, self._said.get(place, "")) for place in places)

    # --- an image

    def _outcomes(self, outcomes: Iterable[Outcome], *, stopped: bool) -> Iterator[str]:
        shown = {False: 0, True: 0}
        hidden = {False: 0, True: 0}
        for outcome in outcomes:
            if self._counted is None:
                closing.count(self._sums, outcome, stopped=stopped)
            undone = outcome.outcome in closing.NOT_DONE
            if not self._look.verbose and shown[undone] >= SHOWN:
                hidden[undone] += 1
                continue
            shown[undone] += 1
            self._shown += 1
            yield from self._outcome(outcome, stopped=stopped)
        for undone, what in ((False, "more"), (True, "more that were not done")):
            if hidden[undone]:
                yield self._paper.paint(closing.DIM, f"  … and {hidden[undone]:,} {what}; -v shows all")

    def _outcome(self, outcome: Outcome, *, stopped: bool) -> Iterator[str]:
        action = outcome.action
        word = outcome.outcome.value
        if outcome.outcome is OutcomeKind.PLANNED:
            word = "stopped" if stopped else action.action.value
        why = action.reason
        if outcome.detail and outcome.outcome is not OutcomeKind.PLANNED:
            why = outcome.detail
        if not all(rule in why for rule in action.rules):
            why = f"{why} ({', '.join(action.rules)})"
        age = "" if action.pushed_at is None else _age(self._now - action.pushed_at)
        size = "?" if action.size_bytes is None else format_size(action.size_bytes)
        yield from self._image(word, self._what(action), (age, size), why)

    def _stays(self, stays: Iterable[Stay]) -> Iterator[str]:
        for image in stays:
            what = self._names(image.tags, image.digest)
            yield from self._image("stays", what, ("", ""), "; ".join(image.reasons))

    def _image(self, word: str, what: tuple[str, str], facts: tuple[str, str], why: str) -> Iterator[str]:
        """One image: on one line where there is room, else on two and more."""
        width = self._look.width
        start = f"  {self._paper.paint(_COLORS[word], word)}{' ' * (_START - 2 - len(word))}"
        why = self._paper.prose(why)
        columns = f"{facts[0]:>6}  {facts[1]:>10}"
        if width is None:
            yield f"{start}{pad(''.join(what), 40)}  {columns}  {why}".rstrip()
            return
        if width < _WIDE:
            few = "  ".join(filter(None, facts))
            room = width - _START - len(few) - 2
            yield f"{start}{_fit(what, room)}  {self._paper.paint(closing.DIM, few)}".rstrip()
            yield from self._paper.beside("", _START - 2, why)
            return
        room = min(width // 3, 48)
        begun = f"{start}{pad(_fit(what, room), room)}  {self._paper.paint(closing.DIM, columns)}"
        yield from self._paper.beside(begun, _START + room + 2 + len(columns), why)

    def _what(self, action: Action) -> tuple[str, str]:
        """Name the image, or the tags that it loses: a text, and its end that is cut last."""
        if action.remove_tags is UNSET:
            return self._names(action.tags, action.digest)
        left = tuple(tag for tag in action.tags if tag not in action.remove_tags)
        return "".join(self._names(action.remove_tags)), f" (leaves {''.join(self._names(left))})"

    def _names(self, tags: Sequence[str], digest: str = "") -> tuple[str, str]:
        if not tags:
            return short(digest), ""
        if self._look.verbose or len(tags) <= _TAGS:
            return self._paper.prose(", ".join(tags)), ""
        return self._paper.prose(", ".join(tags[:_TAGS])), f" +{len(tags) - _TAGS}"


class _Groups(Generic[_T]):
    """Things that come grouped by repository, handed out a repository at a time, each read once."""

    def __init__(self, things: Iterable[tuple[_Place, _T]]) -> None:
        self._groups = itertools.groupby(things, key=lambda each: each[0])
        self._next = next(self._groups, None)

    def of(self, place: _Place) -> Iterator[_T]:
        """Hand out the things of this repository; none if those of another come next."""
        if self._next is not None and self._next[0] == place:
            yield from (thing for _, thing in self._next[1])
            self._next = next(self._groups, None)

    def rest(self) -> Iterator[_Place]:
        """Name the repository that comes next, as long as there is one; ``of`` gives what it holds."""
        while self._next is not None:
            yield self._next[0]


def _fit(what: tuple[str, str], columns: int) -> str:
    """Cut a text so that its end still stands, if that leaves the text at least half of the room."""
    text, end = what
    if len(end) > columns // 2:
        return crop(text + end, columns)
    return crop(text, columns - len(end)) + end


def _age(age: timedelta) -> str:
    hours = max(int(age.total_seconds()), 0) // 3600
    if hours >= _HOURS:
        return f"{hours // 24}d"
    return f"{hours}h" if hours else "<1h"
