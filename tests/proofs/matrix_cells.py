"""Every cell of the matrix: a provider, a phase of a run, a fault, and whether it passes or lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest

from tests.conformance.harness import LOST_KINDS, Faults, Harness
from tests.conformance.harnesses import HARNESSES

ALWAYS = 1_000_000
# Of all cells every so manieth is tried each time; with the long profile all are.
_EVERY = {"dev": 40, "long": 1}.get(os.environ.get("HYPOTHESIS_PROFILE", "ci"), 6)

CHANGES = frozenset({"delete", "untag", "archive", "restore"})


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """``phase``: the method during which requests are struck, of one repository alone; ``afresh`` is the
    listing before its first change."""

    harness: Harness
    phase: str
    kind: str
    lasting: bool

    @property
    def name(self) -> str:
        """What the test is called."""
        return "-".join((self.harness.name, self.phase, self.kind, "lasting" if self.lasting else "passing"))


def cells(phases: tuple[str, ...]) -> pytest.MarkDecorator:
    """Run a test on the cells of these phases."""
    found = [cell for cell in _all() if cell.phase in phases]
    chosen = [cell for number, cell in enumerate(found) if number % _EVERY == 0]
    return pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in chosen])


def _all() -> Iterator[Cell]:
    for harness in (row for rows in HARNESSES.values() for row in rows):
        if harness.faults is None or not harness.deletes:
            continue
        for phase in _phases(harness):
            for kind in _kinds(harness.faults, phase):
                for lasting in (False, True):
                    yield Cell(harness=harness, phase=phase, kind=kind, lasting=lasting)


def _phases(harness: Harness) -> Iterator[str]:
    yield from ("units", "list", "afresh", "tags_now", "delete")
    if harness.untags:
        yield "untag"
    if harness.archives:
        yield "archive"
    if harness.restores:
        yield from ("keepsakes", "restore")


def _kinds(faults: Faults, phase: str) -> tuple[str, ...]:
    if phase in CHANGES:
        return (*faults.kinds, *(faults.lost_kinds or ()))
    pages = faults.page_kinds if phase in {"units", "list", "afresh"} else ()
    return tuple(kind for kind in (*faults.kinds, *pages) if kind not in LOST_KINDS)
