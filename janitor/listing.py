"""The way over everything that a run wants to see: registry after registry, unit after unit.

A run that was cut short, by its deadline or by a signal, tells how far it came; the next begins after that,
and comes round to the beginning. Registries are taken by name, so that the way is the one in which a plan is
carried out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from janitor.core.report import ErrorReport
from janitor.errors import RegistryError, Stopped
from janitor.parallel import each
from janitor.premises import Opened
from janitor.providers.interface import Listing, Unit

Place = tuple[str, str]
"""The names of a registry and of a unit of it."""


class Course:
    """How a run goes over everything: it begins after a place, and lists until it is ``enough``.

    ``cut``: it was enough before all was listed. ``last``: the place that was listed last.
    """

    def __init__(self, begin_after: Place | None = None, enough: Callable[[], bool] = lambda: False) -> None:
        self.begin_after = begin_after
        self.enough = enough
        self.cut = False
        self.last: Place | None = None

    def parts(self, registries: Sequence[Opened]) -> Iterator[tuple[Opened, Callable[[str], bool]]]:
        """Every registry, with what tells the units of it that are due; one may come twice, in two parts."""
        ordered = sorted(registries, key=attrgetter("spec.name"))
        if self.begin_after is None:
            yield from ((one, lambda _: True) for one in ordered)
            return
        name, unit = self.begin_after
        here = [one for one in ordered if one.spec.name == name]
        yield from ((one, lambda each: each > unit) for one in here)
        yield from ((one, lambda _: True) for one in ordered if one.spec.name > name)
        yield from ((one, lambda _: True) for one in ordered if one.spec.name < name)
        yield from ((one, lambda each: each <= unit) for one in here)


_Event = tuple[Unit, Listing | RegistryError]


def everything(
    registries: Sequence[Opened], stop: threading.Event, course: Course
) -> Iterator[tuple[Opened, Unit, Listing | RegistryError]]:
    """Give every repository of all registries, or the error in its place."""
    for opened, is_due in course.parts(registries):
        for unit, event in listings(opened, stop, is_due, course):
            course.last = opened.spec.name, unit.name
            yield opened, unit, event
        if course.cut:
            return


def listings(
    opened: Opened,
    stop: threading.Event,
    is_due: Callable[[str], bool] = lambda _: True,
    course: Course | None = None,
) -> Iterator[_Event]:
    """Give every repository of a registry, or the error in its place."""
    at_once = opened.registry.units_at_once
    try:
        units = _units(opened, stop, is_due, course or Course())
        if at_once == 1:
            for unit in units:
                yield from _listed(opened, unit)
            return
        for events in each(
            lambda unit: tuple(_listed(opened, unit)), units, workers=at_once, ahead=at_once + 1
        ):
            yield from events
    except RegistryError as error:
        yield _WHOLE, error


def _units(
    opened: Opened, stop: threading.Event, is_due: Callable[[str], bool], course: Course
) -> Iterator[Unit]:
    for unit in opened.registry.units(opened.only):
        if not is_due(unit.name):
            continue
        if stop.is_set():
            raise Stopped(f"the listing of {opened.spec.name} was stopped")
        if course.enough():
            course.cut = True
            return
        yield unit


def _listed(opened: Opened, unit: Unit) -> Iterator[_Event]:
    try:
        for listing in opened.registry.list(unit, opened.wanted):
            yield unit, listing
    except RegistryError as error:
        yield unit, error


# Stands for all of a registry where its catalogue could not be read.
_WHOLE = Unit(name="", many=True)


def unread(opened: Opened, unit: Unit, error: RegistryError) -> ErrorReport:
    """Say that a unit could not be read; of a unit of many repositories, that the registry couldn't."""
    repository = "" if unit.many else unit.name
    return ErrorReport(
        registry=opened.spec.name, repository=repository, code=error.code, message=error.message
    )
