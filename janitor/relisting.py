"""Listing repositories again before they are changed.

A repository is listed by itself where its registry can. Where one listing serves many, those of them that
are due are kept of it, each until it is asked for once, and no longer than decisions may be acted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from janitor.planning import PlannedRepository
from janitor.premises import Opened
from janitor.providers.interface import Listing

# How long decisions on a repository may be acted on before they are made again.
DECISIONS_LAST = timedelta(minutes=10)


class Relisted(NamedTuple):
    """A listing, and until when it may be acted on: ten minutes, or as long as it took if that is longer."""

    listing: Listing
    until: datetime


class Relisting:
    """Lists again what is due; used from one thread."""

    def __init__(self, due: Iterable[PlannedRepository], clock: Callable[[], datetime]) -> None:
        self._due = {(one.plan.registry, one.plan.repository) for one in due}
        self._clock = clock
        self._kept: dict[tuple[str, str], Relisted] = {}

    def of(self, opened: Opened, repository: PlannedRepository) -> Relisted:
        """List one repository; raises RegistryError."""
        place = repository.plan.registry, repository.plan.repository
        kept = self._kept.pop(place, None)
        if kept is not None and self._clock() < kept.until:
            return kept
        begun = self._clock()
        found: list[Listing] = []
        for listing in opened.registry.list(repository.unit, opened.wanted):
            if (place[0], listing.repository) in self._due:
                found.append(listing)
                if not repository.unit.many:
                    break
        done = self._clock()
        until = done + max(DECISIONS_LAST, done - begun)
        self._kept = {(place[0], each.repository): Relisted(each, until) for each in found}
        nothing = Relisted(Listing(repository=place[1], images=()), until)
        return self._kept.pop(place, nothing)
