"""A folder with policy files, and runs by them, in process, at an instant that a test moves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from janitor.core.report import Outcome, OutcomeKind, Report
from janitor.run import run
from janitor.settings import Settings, Stop
from tests.journeys.inprocess import Clock

RULES: list[dict[str, Any]] = [
    {"name": "releases", "keep": {"tags": ["semver:*"]}},
    {"name": "pull-requests", "delete": {"tags": ["pr-*"], "older_than": "14d"}},
    {"name": "untagged", "delete": {"untagged": True, "older_than": "7d"}},
]


class Watch:
    """Progress that does something when a stage begins, or when a repository is done."""

    def __init__(self) -> None:
        self.at_start: dict[str, Callable[[], object]] = {}
        self.after: dict[tuple[str, str], Callable[[], object]] = {}
        self._stage = ""

    def started(self, total: int | None, what: str) -> None:  # noqa: ARG002  nobody looks at the number
        self._stage = what
        self.at_start.pop(what, _nothing)()

    def advanced(self, what: str, images: int) -> None:  # noqa: ARG002  nor at this one
        self.after.pop((self._stage, what), _nothing)()

    def finished(self) -> None: ...


def _nothing() -> None: ...


class Ran:
    """What came of a run, read out."""

    def __init__(self, report: Report, outcomes: tuple[Outcome, ...], notes: tuple[str, ...]) -> None:
        self.report = report
        self.outcomes = outcomes
        self.notes = notes

    @property
    def exit_code(self) -> int:
        return self.report.exit_code

    def digests(self, kind: OutcomeKind) -> set[str]:
        return {outcome.action.digest for outcome in self.outcomes if outcome.outcome is kind}

    def tags(self, kind: OutcomeKind) -> set[str]:
        """The tags that the images of these outcomes had."""
        return {tag for each in self.outcomes if each.outcome is kind for tag in each.action.tags}


class Site:
    """One folder. ``clock``, ``stop`` and ``watch`` are of the next run; ``address`` is a server's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.stop = Stop()
        self.watch = Watch()
        self.address = ""

    def policies(
        self,
        registries: dict[str, dict[str, Any]],
        *,
        rules: list[dict[str, Any]] = RULES,
        name: str = "policies.yaml",
        limits: dict[str, Any] | None = None,
        **more: Any,
    ) -> Path:
        """Write a policy file of one policy for everything, without limits that a small world would meet."""
        document = {
            "version": 1,
            "registries": registries,
            "limits": {"max_percent": 100} | (limits or {}),
            "policies": [{"name": "cleanup", "registries": "*", "repositories": "**", "rules": rules}],
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(document | more))
        return path

    def settings(self, *policies: Path, **settings: Any) -> Settings:
        files = policies or (self.folder / "policies.yaml",)
        return Settings(policies=tuple(map(str, files)), **settings)

    def run(self, *policies: Path, **settings: Any) -> Ran:
        result = run(
            self.settings(*policies, **settings),
            dict(os.environ),
            stop=self.stop,
            clock=self.clock,
            progress=self.watch,
        )
        with contextlib.closing(result):
            return Ran(result.report, tuple(result.outcomes()), result.notes)
