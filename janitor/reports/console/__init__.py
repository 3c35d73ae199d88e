"""The report on a terminal: what goes, why, what was not done, and what only the lack of a rule keeps.

A plan may have a million lines: they are written as they are read, and of one repository only so many are
shown as a screen has, unless all are asked for.
"""

from __future__ import annotations

from janitor.core.legible import clean
from janitor.reports.console.page import SHOWN, Look, render
from janitor.reports.console.paper import Paper

__all__ = ["SHOWN", "Look", "Paper", "clean", "render"]
