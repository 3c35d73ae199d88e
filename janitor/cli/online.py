"""What ``check --online`` found, on standard output: a block a registry and source, a line a finding."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from janitor.checking import Checked, check_online
from janitor.cli.signals import stopping
from janitor.cli.terminal import look, say
from janitor.core.policy import PolicySet
from janitor.providers.interface import Finding, Level
from janitor.reports.console import Paper, clean
from janitor.settings import Stop

_CONCURRENCY = 8
_COLORS = {Level.OK: "32", Level.NOTE: "36", Level.WARNING: "33", Level.ERROR: "31"}
_INTERRUPTED = 128


def look_around(policies: PolicySet, *, strict: bool) -> int:
    """Look at everything, say each finding as it comes, and give the exit code."""
    how = look(os.environ, verbose=False, quiet=False)
    paper = Paper(width=how.width, color=how.color)
    levels: Counter[Level] = Counter()
    stop = Stop()
    with stopping(stop):
        for checked in check_online(policies, os.environ, _CONCURRENCY, stop):
            levels.update(finding.level for finding in checked.findings)
            say(line + "\n" for line in _block(checked, paper))
    if stop.signal is not None:
        return _INTERRUPTED + stop.signal
    return 1 if levels[Level.ERROR] or (strict and levels[Level.WARNING]) else 0


def _block(checked: Checked, paper: Paper) -> Iterator[str]:
    yield ""
    yield paper.paint("1", f"{clean(checked.name)} ({checked.what})")
    for finding in checked.findings:
        yield from _lines(finding, paper)


def _lines(finding: Finding, paper: Paper) -> Iterator[str]:
    word = f"  {finding.level.value:<7}"
    start = paper.paint(_COLORS[finding.level], word)
    yield from paper.beside(start, len(word), paper.prose(f"{finding.about}: {finding.message}"))
    if finding.advice:
        yield from paper.beside("", len(word), paper.prose(finding.advice))
